import { Worker } from 'node:worker_threads'
import { LoquentError, reviveError } from '../base/errors.ts'
import type { EngineHost } from './host.ts'
import type { FromEngine } from './message.ts'
import { MessageHost } from './message-host.ts'
import type { EngineFacts, EngineOptions, LoadProgress } from './spec.ts'

type Report = (progress: LoadProgress) => void

/** The compiler rewrites import specifiers, not URLs: from source the worker is a .ts file, once built a .js file. */
export const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/**
 * Loads a model into an engine on a thread of its own. `options` must be plain data. Rejects with what the load
 * failed with. Requests of an engine whose thread dies fail with `engine.stopped`.
 *
 * An idle engine does not keep the process alive: a script that forgot `close` still ends, and a server is kept
 * alive by its socket. A load, a request or a close under way does.
 */
export async function startWorkerHost(options: EngineOptions, onProgress: Report = () => {}): Promise<EngineHost> {
  // Flags of this process are not for the worker: `--input-type`, of `node -e`, would even keep it from starting.
  return connectWorker(new Worker(workerUrl, { workerData: options, name: 'loquent engine', execArgv: [] }), onProgress)
}

/** The host of an engine that is loading on `worker`. */
export function connectWorker(worker: Worker, onProgress: Report): Promise<EngineHost> {
  return new Promise((resolve, reject) => {
    let host: MessageHost | undefined
    const died = (reason: string) => {
      const error = new LoquentError('engine.stopped', { reason })
      host?.stop(error)
      reject(error)
    }
    worker.on('error', (error) => died(error instanceof Error ? error.message : String(error)))
    worker.on('exit', () => died('its thread ended'))
    worker.on('message', (message: FromEngine) => {
      switch (message.kind) {
        case 'progress':
          return onProgress(message.progress)
        case 'failed':
          return reject(reviveError(message.error))
        case 'ready':
          host = hostOf(worker, message.facts)
          return resolve(host)
        case 'closed':
          return void worker.terminate()
        default:
          host?.receive(message)
      }
    })
  })
}

function hostOf(worker: Worker, facts: EngineFacts): MessageHost {
  worker.unref()
  return new MessageHost(facts, {
    send: (message) => worker.postMessage(message),
    hold: (busy) => (busy ? worker.ref() : worker.unref()),
    ended: new Promise((resolve) => worker.once('exit', () => resolve())),
  })
}
