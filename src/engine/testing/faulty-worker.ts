import { workerData } from 'node:worker_threads'
import { serveEngine } from '../engine-port.ts'
import type { EngineOptions } from '../spec.ts'
import { openHostPort } from '../worker-port.ts'
import { type Die, faultyPort } from './faulty-port.ts'

function fault(): never {
  throw new Error('a fault in the loop')
}

/* An engine thread that dies of its prompts: by how they begin, of an exception or of `process.exit`. */
const deaths = new Map<number, Die>([
  [13, fault],
  [14, () => process.exit(7)],
])
await serveEngine(faultyPort(openHostPort(), deaths), workerData as EngineOptions)
