import { type Life, type LifeEvents, startProcess } from './child-life.ts'
import { Supervisor } from './child-supervisor.ts'
import { hangMs, neverMs } from './child-watchdog.ts'
import type { EngineHost } from './host.ts'
import { MessageHost } from './message-host.ts'
import type { EngineFacts, EngineOptions, LoadProgress } from './spec.ts'

/** The compiler rewrites import specifiers, not URLs: from source the entry is a .ts file, once built a .js file. */
export const childUrl = new URL(import.meta.url.endsWith('.ts') ? './child.ts' : './child.js', import.meta.url)

export interface ChildHostOptions {
  /** What happens to the process, and what it writes itself; a line a call. */
  readonly onNotice?: (text: string) => void
  /** The process of each life. */
  readonly onStart?: (pid: number) => void
  /** Module to run instead of the engine's own. */
  readonly entry?: URL
  /** How long a step may take; see `hangMs`. */
  readonly hangMs?: number
}

/**
 * Loads a model into an engine in a process of its own. `options` must be plain data. Rejects with what the load failed
 * with. When the process dies it is started again, and its requests go on where they were: the same tokens come as if
 * nothing had been. A request that kills it alone, twice, ends with `engine.crashed`; an engine that dies too often
 * (`maxRestarts`) ends everything with `engine.stopped`.
 *
 * The process never outlives this one. As with a worker, an idle engine does not keep this process alive.
 */
export function startChildHost(
  options: EngineOptions,
  onProgress: (progress: LoadProgress) => void = () => {},
  { onNotice = () => {}, onStart = () => {}, entry = childUrl, hangMs: given }: ChildHostOptions = {},
): Promise<EngineHost> {
  // The reference backend has no native code to hang in, and no bound on what a step may take.
  const isSlow = (backend: string) => backend === 'reference' || options.verify === true
  const patience = ({ backend }: EngineFacts) => given ?? (isSlow(backend) ? neverMs : hangMs)
  const launch = (on: LifeEvents): Life => {
    const life = startProcess(entry, options, on)
    if (life.pid !== undefined) {
      onNotice(`engine process ${life.pid} started`)
      onStart(life.pid)
    }
    return life
  }
  return new Promise((resolve, reject) => {
    let host: MessageHost | undefined
    const watcher = {
      progress: onProgress,
      failed: reject,
      notice: onNotice,
      message: (message: Parameters<MessageHost['receive']>[0]) => host?.receive(message),
      stopped: (error: Parameters<MessageHost['stop']>[0]) => host?.stop(error),
      ready: (facts: EngineFacts) => {
        supervisor.hold(false)
        host = new MessageHost(facts, supervisor)
        resolve(host)
      },
    }
    const supervisor: Supervisor = new Supervisor(launch, watcher, patience)
  })
}
