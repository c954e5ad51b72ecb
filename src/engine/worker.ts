import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { serveEngine } from './engine-port.ts'
import type { EngineOptions } from './spec.ts'

/* Entry of the engine's thread; see worker-host.ts. */
assert(parentPort, 'the engine worker runs in a worker thread')
const port = parentPort
await serveEngine(
  { send: (message) => port.postMessage(message), listen: (obey) => port.on('message', obey) },
  workerData as EngineOptions,
)
