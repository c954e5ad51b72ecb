import { parentPort } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import type { EnginePort } from './engine-port.ts'
import type { FromEngine, ToEngine } from './message.ts'

/** The engine thread's end of the way to its host. */
export function openHostPort(): EnginePort {
  assert(parentPort, 'the engine worker runs in a worker thread')
  const port = parentPort
  return {
    send: (message: FromEngine) => port.postMessage(message),
    listen: (obey) => port.on('message', (message: ToEngine) => obey(message)),
  }
}
