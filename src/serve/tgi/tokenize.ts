import { setImmediate as turn } from 'node:timers/promises'
import type { TokenSpan } from '../../library/types.ts'

/** Tokens written in one turn of the event loop. */
const TOKENS_A_TURN = 10_000

const spanJson = ({ id, text, start, stop }: TokenSpan): string =>
  `{"id":${id},"text":${JSON.stringify(text)},"start":${start},"stop":${stop}}`

/** JSON of tokens and where they stand; of a great many it is written in several turns, for others wait too. */
export async function spansJson(spans: readonly TokenSpan[]): Promise<string> {
  const parts: string[] = []
  for (let from = 0; from < spans.length; from += TOKENS_A_TURN) {
    if (from > 0) await turn()
    parts.push(
      spans
        .slice(from, from + TOKENS_A_TURN)
        .map(spanJson)
        .join(','),
    )
  }
  return `[${parts.join(',')}]`
}
