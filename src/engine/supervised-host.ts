import type { LoquentError } from '../base/errors.ts'
import type { EngineHost } from './host.ts'
import type { ToHost } from './message.ts'
import { MessageHost } from './message-host.ts'
import type { EngineFacts, LoadProgress } from './spec.ts'
import { type Kind, Supervisor } from './supervisor.ts'

/** A host of engines of a kind, one after another. Rejects with what the load of the first failed with. */
export function startSupervised(
  kind: Kind,
  onProgress: (progress: LoadProgress) => void,
  onNotice: (text: string) => void,
): Promise<EngineHost> {
  return new Promise((resolve, reject) => {
    let host: MessageHost | undefined
    const watcher = {
      progress: onProgress,
      failed: reject,
      notice: onNotice,
      message: (message: ToHost) => host?.receive(message),
      stopped: (error: LoquentError) => host?.stop(error),
      ready: (facts: EngineFacts) => {
        supervisor.hold(false)
        host = new MessageHost(facts, supervisor)
        resolve(host)
      },
    }
    const supervisor: Supervisor = new Supervisor(kind, watcher)
  })
}
