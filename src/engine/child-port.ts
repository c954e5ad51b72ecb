import type { EnginePort } from './engine-port.ts'
import type { FromEngine, ToChild, ToEngine } from './message.ts'
import type { EngineOptions } from './spec.ts'

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * The engine process's end of the way to its parent. Signals that ask to stop are the parent's to hear: it finishes
 * what is open and closes the engine. Without a parent there is nobody to answer, so this process ends on the spot,
 * whatever its native threads are doing.
 */
export function openParentPort(): EnginePort {
  for (const signal of stopSignals) process.on(signal, () => {})
  const end = () => process.kill(process.pid, 'SIGKILL')
  process.on('disconnect', end)
  if (!process.connected) end()
  return {
    // A parent that is gone is noticed by `disconnect`; until then there is nobody to tell of a failed send.
    send: (message: FromEngine) => void process.send!(message, undefined, {}, () => {}),
    listen: (obey) => process.on('message', (message: ToEngine) => obey(message)),
  }
}

/** What to load: the parent's first message. */
export const receiveOptions = (): Promise<EngineOptions> =>
  new Promise((resolve) => {
    process.once('message', (message: ToChild) => {
      if (message.kind === 'load') resolve(message.options)
    })
  })
