import { workerData } from 'node:worker_threads'
import { serveEngine } from '../engine-port.ts'
import type { EngineOptions } from '../spec.ts'
import { openHostPort } from '../worker-port.ts'
import { type Die, faultyPort } from './faulty-port.ts'

/** Strings that nobody can collect. */
function fillMemory(): never {
  const kept: string[][] = []
  for (let i = 0; ; i++) kept.push(Array.from({ length: 1000 }, (_, j) => `${i} ${j}`))
}

function fault(): never {
  throw new Error('a fault in the loop')
}

/* An engine thread that dies of its prompts: by how they begin, of an exception, of `process.exit`, or of its memory. */
const deaths = new Map<number, Die>([
  [13, fault],
  [14, () => process.exit(7)],
  [15, fillMemory],
])
await serveEngine(faultyPort(openHostPort(), deaths), workerData as EngineOptions)
