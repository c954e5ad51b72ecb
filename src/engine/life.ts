import type { FromEngine, ToEngine } from './message.ts'

/** What is told of one life of an engine. `ended` comes last and once, after every message. */
export interface LifeEvents {
  message(message: FromEngine): void
  /** A line it wrote by itself: Node's last words, a library's warning. */
  line(text: string): void
  ended(reason: string): void
}

/** One life of an engine, in a process or on a thread. */
export interface Life {
  /** What an ended one does not get is given to the next; `ended` is on its way. */
  send(message: ToEngine): void
  /** Whether it keeps this process alive. */
  hold(busy: boolean): void
  kill(): void
}
