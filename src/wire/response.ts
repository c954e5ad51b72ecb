import { float32Json } from './float32.ts'
import type {
  BestOfSequence,
  Details,
  GenerateResponse,
  PrefillToken,
  SequenceDetails,
  StreamDetails,
  StreamResponse,
  Token,
} from './tgi.ts'

/*
 * JSON of the responses, written by hand: keys in the order clients know, seeds as 64-bit integers, log-probabilities
 * as float32, and no intermediate objects for an event that is written once a token.
 */

const list = <T>(items: readonly T[], write: (item: T) => string): string => `[${items.map(write).join(',')}]`

const prefillToken = (t: PrefillToken): string =>
  `{"id":${t.id},"text":${JSON.stringify(t.text)},"logprob":${float32Json(t.logprob)}}`

const token = (t: Token): string =>
  `{"id":${t.id},"text":${JSON.stringify(t.text)},"logprob":${float32Json(t.logprob)},"special":${t.special}}`

const tokens = (items: readonly Token[]): string => list(items, token)

const ending = (d: Omit<StreamDetails, 'input_length'>): string =>
  `"finish_reason":"${d.finish_reason}","generated_tokens":${d.generated_tokens},"seed":${d.seed}`

const body = (d: SequenceDetails): string =>
  `${ending(d)},"prefill":${list(d.prefill, prefillToken)},"tokens":${tokens(d.tokens)}`

const topTokens = (d: SequenceDetails): string =>
  d.top_tokens.length === 0 ? '' : `,"top_tokens":${list(d.top_tokens, tokens)}`

const bestOf = (b: BestOfSequence): string =>
  `{"generated_text":${JSON.stringify(b.generated_text)},${body(b)}${topTokens(b)}}`

function details(d: Details): string {
  const others = d.best_of_sequences ? `,"best_of_sequences":${list(d.best_of_sequences, bestOf)}` : ''
  return `{${body(d)}${others}${topTokens(d)}}`
}

export function generateJson(response: GenerateResponse): string {
  const more = response.details ? `,"details":${details(response.details)}` : ''
  return `{"generated_text":${JSON.stringify(response.generated_text)}${more}}`
}

export function streamJson(event: StreamResponse): string {
  const top = event.top_tokens.length === 0 ? '' : `,"top_tokens":${tokens(event.top_tokens)}`
  const text = event.generated_text === null ? 'null' : JSON.stringify(event.generated_text)
  const end = event.details ? `{${ending(event.details)},"input_length":${event.details.input_length}}` : 'null'
  return `{"index":${event.index},"token":${token(event.token)}${top},"generated_text":${text},"details":${end}}`
}
