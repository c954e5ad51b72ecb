/**
 * How much longer a step may take because prompts are computed in it, compared with the same step without them, unless
 * asked for more or less.
 */
export const defaultStretch = 2.25
/** Prompt tokens that every step may have. Fewer would take longer for a prompt than they save for the others. */
export const leastChunk = 16
/** Prompt tokens of a step while nothing is known of the machine, at the default stretch. */
export const firstChunk = 32
/** Weight of the newest step in what is remembered. */
const newest = 0.2

interface Centre {
  tokens: number
  milliseconds: number
}

/**
 * How many prompt tokens fit into a step that others wait for. Steps with and without prompts are remembered as one
 * point each, and time taken for a line through both: a + b * tokens. So a step of n tokens may have
 * (stretch - 1) * (a / b + n) more. Where more sequences wait for their first token than for their next one, this
 * is allowed as many times as there are more of them: nobody's wait counts more than another's.
 */
export class Pace {
  readonly #stretch: number
  #plain: Centre | undefined
  #mixed: Centre | undefined

  constructor(stretch = defaultStretch) {
    this.#stretch = stretch
  }

  /** A step has taken `milliseconds`, with `tokens` of which `chunk` were of prompts. */
  observe(tokens: number, chunk: number, milliseconds: number): void {
    if (chunk > 0) this.#mixed = move(this.#mixed, tokens, milliseconds)
    else this.#plain = move(this.#plain, tokens, milliseconds)
  }

  /** Most prompt tokens beside `decoding` sequences, when `prompts` sequences lack more than one token, or wait. */
  chunk(decoding: number, prompts: number): number {
    const pressure = Math.max(1, prompts / decoding)
    return Math.max(leastChunk, Math.floor(this.#allowed(decoding) * pressure))
  }

  #allowed(decoding: number): number {
    const more = this.#stretch - 1
    const guess = (firstChunk * more) / (defaultStretch - 1)
    const [few, many] = [this.#plain, this.#mixed]
    // Two points too close to each other say nothing of the slope.
    if (!few || !many || many.tokens < few.tokens + leastChunk / 2) return guess
    const slope = (many.milliseconds - few.milliseconds) / (many.tokens - few.tokens)
    if (slope <= 0) return guess
    const fixed = Math.max(0, few.milliseconds / slope - few.tokens)
    return more * (fixed + decoding)
  }
}

function move(centre: Centre | undefined, tokens: number, milliseconds: number): Centre {
  if (!centre) return { tokens, milliseconds }
  const towards = (from: number, to: number) => from + newest * (to - from)
  return { tokens: towards(centre.tokens, tokens), milliseconds: towards(centre.milliseconds, milliseconds) }
}
