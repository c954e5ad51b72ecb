/**
 * How much longer a step may take because prompts are computed in it, compared with the same step without them, unless
 * asked for more or less.
 */
export const defaultStretch = 2.5
/** Prompt tokens that every step may have, however long they take. */
export const leastChunk = 2
/** Prompt tokens of a step while nothing is known of the machine, at the default stretch. */
export const firstChunk = 16
/** After so many steps with prompts beside others one goes without: a machine may have become slower, or faster. */
export const probeEvery = 16
/** Weight of the newest step in what is remembered, and how far off it may be: machines have hiccups. */
const newest = 0.25
const mostChange = 2

/**
 * How many prompt tokens fit into a step that others wait for. Two things are learned from the steps: what one without
 * prompts takes, and what each prompt token adds (more in a long prompt than in a short one, as all that came before is
 * read again). Where more sequences wait for their first token than for their next one, the step may have as many times
 * more prompt tokens as there are more of them: nobody's wait counts more than another's.
 */
export class Pace {
  readonly #stretch: number
  /** A step without prompts: sequences and milliseconds. */
  #plain: { readonly sequences: number; readonly milliseconds: number } | undefined
  /** Steps with prompts beside others since the last one without. */
  #mixed = 0
  /** Milliseconds that a prompt token adds. */
  #added: number | undefined

  constructor(stretch = defaultStretch) {
    this.#stretch = stretch
  }

  /** A step of `decoding` sequences and `chunk` prompt tokens has taken `milliseconds`. */
  observe(decoding: number, chunk: number, milliseconds: number): void {
    this.#mixed = chunk === 0 || decoding === 0 ? 0 : this.#mixed + 1
    if (chunk === 0) {
      const { sequences, milliseconds: before } = this.#plain ?? { sequences: decoding, milliseconds }
      this.#plain = { sequences: mix(sequences, decoding), milliseconds: mix(before, within(milliseconds, before)) }
    } else {
      const added = Math.max(0, milliseconds - this.#plainTime(decoding)) / chunk
      this.#added = this.#added === undefined ? added : mix(this.#added, within(added, this.#added))
    }
  }

  /** Most prompt tokens beside `decoding` sequences, when `prompts` sequences lack more than one token, or wait. */
  chunk(decoding: number, prompts: number): number {
    if (this.#mixed >= probeEvery && decoding > 0) return 0
    const pressure = Math.max(1, prompts / decoding)
    return Math.max(leastChunk, Math.floor(this.#allowed(decoding) * pressure))
  }

  #allowed(decoding: number): number {
    const more = this.#stretch - 1
    if (!this.#plain || !this.#added) return (firstChunk * more) / (defaultStretch - 1)
    return (more * this.#plainTime(decoding)) / this.#added
  }

  /** A step of a few sequences more takes a little longer: something between as long and as many times as long. */
  #plainTime(decoding: number): number {
    if (!this.#plain) return 0
    return this.#plain.milliseconds * Math.sqrt(decoding / this.#plain.sequences)
  }
}

const mix = (before: number, now: number): number => before + newest * (now - before)

const within = (now: number, before: number): number =>
  Math.min(before * mostChange, Math.max(before / mostChange, now))
