import type { RequestEvent } from './engine.ts'

/**
 * Events of a step on their way out of the engine's thread or process. Most say no more than a token, and are numbers in
 * a row: reading them as objects cost the other side as much as all else it did for a token.
 */
export interface PackedEvents {
  readonly kind: 'events'
  /** Request, token and log-probability of each. They come before what else is said of their requests. */
  readonly plain: Float64Array
  readonly others: readonly RequestEvent[]
}

const fields = 3

/** Nothing but one token. */
function isPlain(event: RequestEvent): event is Extract<RequestEvent, { readonly events: unknown }> {
  if ('error' in event || event.events.finish || event.events.promptLogprobs) return false
  const { tokens } = event.events
  return tokens.length === 1 && tokens[0]!.top.length === 0
}

export function packEvents(events: readonly RequestEvent[]): PackedEvents {
  const others: RequestEvent[] = []
  const plain = new Float64Array(fields * events.length)
  let length = 0
  for (const event of events) {
    if (!isPlain(event)) {
      others.push(event)
      continue
    }
    const [token] = event.events.tokens
    plain[length++] = event.id
    plain[length++] = token!.id
    plain[length++] = token!.logprob
  }
  return { kind: 'events', plain: plain.slice(0, length), others }
}

export function unpackEvents({ plain, others }: PackedEvents): readonly RequestEvent[] {
  const events: RequestEvent[] = []
  for (let at = 0; at < plain.length; at += fields) {
    const token = { id: plain[at + 1]!, logprob: plain[at + 2]!, top: [] }
    events.push({ id: plain[at]!, events: { tokens: [token] } })
  }
  events.push(...others)
  return events
}
