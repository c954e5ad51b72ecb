import type { TokenSpan } from '../../library/types.ts'

/** JSON of tokens and where they stand. */
export const spansJson = (spans: readonly TokenSpan[]): string =>
  JSON.stringify(spans.map(({ id, text, start, stop }) => ({ id, text, start, stop })))
