import type { MessagePort } from 'node:worker_threads'
import { errorData } from '../base/errors.ts'
import type { Engine } from './engine.ts'
import { loadEngine } from './load.ts'
import type { FromEngine, ToEngine } from './message.ts'
import type { EngineOptions } from './spec.ts'

/** Loads an engine and answers messages on `port`, until told to close. */
export async function serveEngine(port: MessagePort, options: EngineOptions): Promise<void> {
  const send = (message: FromEngine) => port.postMessage(message)
  try {
    const engine = await loadEngine(
      options,
      (events) => send({ kind: 'events', events }),
      (progress) => send({ kind: 'progress', progress }),
    )
    port.on('message', (message: ToEngine) => obey(engine, message, send))
    send({ kind: 'ready', facts: engine.facts })
  } catch (error) {
    send({ kind: 'failed', error: errorData(error) })
  }
}

function obey(engine: Engine, message: ToEngine, send: (message: FromEngine) => void): void {
  if (message.kind === 'submit') engine.submit(message.id, message.spec)
  else if (message.kind === 'abort') engine.abort(message.id)
  else if (message.kind === 'stats') send({ kind: 'stats', ticket: message.ticket, stats: engine.stats() })
  else engine.close().then(() => send({ kind: 'closed' }))
}
