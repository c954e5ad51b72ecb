import type { EnginePort } from '../engine-port.ts'
import { unpackEvents } from '../event-pack.ts'

/** Dies in one way or another. */
export type Die = () => void

/** An engine's port with faults: where a prompt begins with an id of `deaths`, the engine dies when its second token is there. */
export function faultyPort(port: EnginePort, deaths: ReadonlyMap<number, Die>): EnginePort {
  const poisoned = new Map<number, { tokens: number; readonly die: Die }>()
  return {
    listen: (obey) =>
      port.listen((message) => {
        if (message.kind === 'submit') {
          const die = deaths.get(message.spec.promptIds[0]!)
          if (die) poisoned.set(message.id, { tokens: message.spec.generatedIds?.length ?? 0, die })
        }
        obey(message)
      }),
    send: (message) => {
      for (const { id } of message.kind === 'events' ? unpackEvents(message) : []) {
        const poison = poisoned.get(id)
        if (poison && poison.tokens++ > 0) poison.die()
      }
      port.send(message)
    },
  }
}
