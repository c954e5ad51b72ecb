import { startProcess } from './child-life.ts'
import type { EngineHost } from './host.ts'
import type { Life, LifeEvents } from './life.ts'
import type { EngineOptions, LoadProgress } from './spec.ts'
import { startSupervised } from './supervised-host.ts'
import { patienceOf } from './watchdog.ts'

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
  { onNotice = () => {}, onStart = () => {}, entry = childUrl, hangMs }: ChildHostOptions = {},
): Promise<EngineHost> {
  const launch = (on: LifeEvents): Life => {
    const life = startProcess(entry, options, on)
    if (life.pid !== undefined) {
      onNotice(`engine process ${life.pid} started`)
      onStart(life.pid)
    }
    return life
  }
  const kind = { name: 'engine process', launch, patience: patienceOf(options, hangMs) } as const
  return startSupervised(kind, onProgress, onNotice)
}
