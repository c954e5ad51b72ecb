import { workerData } from 'node:worker_threads'
import { serveEngine } from './engine-port.ts'
import type { EngineOptions } from './spec.ts'
import { openHostPort } from './worker-port.ts'

/* Entry of the engine's thread; see worker-host.ts. */
await serveEngine(openHostPort(), workerData as EngineOptions)
