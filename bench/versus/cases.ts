/** One row of the table: what both engines do, measured in tokens a second over all streams. */
export interface Case {
  readonly name: string
  readonly kind: 'prefill' | 'decode'
  readonly batch: number
  /** Tokens of each prompt; decoding goes on from there. */
  readonly promptTokens: number
  readonly newTokens: number
  /** Beside a process that keeps one processor busy. */
  readonly neighbour: boolean
  /** Rounds at most: filling a long context takes much longer than measuring there. */
  readonly mostRounds: number
  /** What the project wants to be ahead by. */
  readonly goal: (format: string) => number
}

const always = (goal: number) => () => goal
const many = Number.MAX_SAFE_INTEGER
const short = { promptTokens: 16, newTokens: 32, neighbour: false, mostRounds: many }
const deep = { promptTokens: 4096, newTokens: 16, neighbour: false, mostRounds: 1 }
const beside = { ...short, neighbour: true, goal: always(1.5) }

export const cases: readonly Case[] = [
  { name: 'decode 1', kind: 'decode', batch: 1, ...short, goal: (f) => (f === 'BF16' ? 1.15 : 1.2) },
  { name: 'decode 8', kind: 'decode', batch: 8, ...short, goal: always(3) },
  { name: 'decode 32', kind: 'decode', batch: 32, ...short, goal: always(4) },
  { name: 'prefill 512', kind: 'prefill', batch: 1, ...short, promptTokens: 512, newTokens: 1, goal: always(2.2) },
  { name: 'busy, decode 1', kind: 'decode', batch: 1, ...beside },
  { name: 'busy, decode 8', kind: 'decode', batch: 8, ...beside },
  { name: 'deep, decode 1', kind: 'decode', batch: 1, ...deep, goal: always(1.5) },
  { name: 'deep, decode 8', kind: 'decode', batch: 8, ...deep, goal: always(1.5) },
]
