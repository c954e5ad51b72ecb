import { Worker } from 'node:worker_threads'
import type { Life, LifeEvents } from './life.ts'
import type { FromEngine, ToEngine } from './message.ts'
import type { EngineOptions } from './spec.ts'

/** A life that is a thread of this process. */
export interface ThreadLife extends Life {
  readonly worker: Worker
}

/** Starts the module `entry` as an engine thread. What it writes goes where this process writes. */
export function startThread(entry: URL, options: EngineOptions, on: LifeEvents): ThreadLife {
  // Flags of this process are not for the worker: `--input-type`, of `node -e`, would even keep it from starting.
  const worker = new Worker(entry, { workerData: options, name: 'loquent engine', execArgv: [] })
  let failure: string | undefined
  worker.on('message', (message: FromEngine) => on.message(message))
  worker.on('error', (error) => {
    failure = error instanceof Error ? error.message : String(error)
  })
  // After the last message and the error, if there was one.
  worker.once('exit', (code) => on.ended(failure ?? `its thread ended with code ${code}`))
  return {
    worker,
    send: (message: ToEngine) => worker.postMessage(message),
    hold: (busy) => (busy ? worker.ref() : worker.unref()),
    kill: () => void worker.terminate(),
  }
}
