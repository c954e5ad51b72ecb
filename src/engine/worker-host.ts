import type { Worker } from 'node:worker_threads'
import type { EngineHost } from './host.ts'
import type { Life, LifeEvents } from './life.ts'
import type { EngineOptions, LoadProgress } from './spec.ts'
import { startSupervised } from './supervised-host.ts'
import { patienceOf } from './watchdog.ts'
import { startThread } from './worker-life.ts'

/** The compiler rewrites import specifiers, not URLs: from source the worker is a .ts file, once built a .js file. */
export const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

export interface WorkerHostOptions {
  /** What happens to the thread; a line a call. */
  readonly onNotice?: (text: string) => void
  /** The thread of each life. */
  readonly onStart?: (worker: Worker) => void
  /** Module to run instead of the engine's own. */
  readonly entry?: URL
  /** How long a step may take; see `hangMs`. */
  readonly hangMs?: number
}

/**
 * Loads a model into an engine on a thread of its own. `options` must be plain data. Rejects with what the load
 * failed with. When the thread dies (an exception, `process.exit`, `terminate`) it is started again as a process is (see
 * `startChildHost`), and its requests go on with the same tokens. What a thread cannot survive is a fault in native
 * code, or V8 out of memory: these end the whole process.
 *
 * An idle engine does not keep the process alive: a script that forgot `close` still ends, and a server is kept
 * alive by its socket. A load, a request or a close under way does.
 */
export function startWorkerHost(
  options: EngineOptions,
  onProgress: (progress: LoadProgress) => void = () => {},
  { onNotice = () => {}, onStart = () => {}, entry = workerUrl, hangMs }: WorkerHostOptions = {},
): Promise<EngineHost> {
  const launch = (on: LifeEvents): Life => {
    const life = startThread(entry, options, on)
    onStart(life.worker)
    return life
  }
  const kind = { name: 'engine thread', launch, patience: patienceOf(options, hangMs) } as const
  return startSupervised(kind, onProgress, onNotice)
}
