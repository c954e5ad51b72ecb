import { errorData } from '../base/errors.ts'
import type { Engine } from './engine.ts'
import { packEvents } from './event-pack.ts'
import { loadEngine } from './load.ts'
import type { FromEngine, ToEngine } from './message.ts'
import type { EngineOptions } from './spec.ts'

/** The engine's end of the way to its host: a port of its thread, or the channel of its process. */
export interface EnginePort {
  send(message: FromEngine): void
  /** Hands every message that comes to `obey`, from now on. */
  listen(obey: (message: ToEngine) => void): void
}

/** Loads an engine and answers messages on `port`, until told to close. */
export async function serveEngine(port: EnginePort, options: EngineOptions): Promise<void> {
  try {
    const engine = await loadEngine(
      options,
      (events) => port.send(packEvents(events)),
      (progress) => port.send({ kind: 'progress', progress }),
    )
    port.listen((message) => obey(engine, message, port))
    port.send({ kind: 'ready', facts: engine.facts })
  } catch (error) {
    port.send({ kind: 'failed', error: errorData(error) })
  }
}

function obey(engine: Engine, message: ToEngine, port: EnginePort): void {
  if (message.kind === 'submit') engine.submit(message.id, message.spec)
  else if (message.kind === 'abort') engine.abort(message.id)
  else if (message.kind === 'stats') port.send({ kind: 'stats', ticket: message.ticket, stats: engine.stats() })
  else engine.close().then(() => port.send({ kind: 'closed' }))
}
