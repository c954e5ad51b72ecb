import { openParentPort, receiveOptions } from '../child-port.ts'
import { serveEngine } from '../engine-port.ts'

/*
 * An engine process with a fault in its native code: it dies of a segmentation fault when the second token of a prompt
 * that begins with `poison` is there.
 */

export const poison = 13

const port = openParentPort()
const poisoned = new Map<number, number>()

await serveEngine(
  {
    listen: (obey) =>
      port.listen((message) => {
        if (message.kind === 'submit' && message.spec.promptIds[0] === poison) {
          poisoned.set(message.id, message.spec.generatedIds?.length ?? 0)
        }
        obey(message)
      }),
    send: (message) => {
      if (message.kind === 'events') {
        for (const { id } of message.events) {
          const tokens = poisoned.get(id)
          if (tokens === undefined) continue
          if (tokens > 0) process.kill(process.pid, 'SIGSEGV')
          poisoned.set(id, tokens + 1)
        }
      }
      port.send(message)
    },
  },
  await receiveOptions(),
)
