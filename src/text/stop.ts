import { fail } from '../base/errors.ts'

export interface StopMatch {
  /** The stop string found. */
  readonly stop: string
  /** Where it ends in all text pushed so far: UTF-16 code units, exclusive. */
  readonly end: number
}

/** For each position of `stop`, how long a proper prefix of it ends there (Knuth, Morris and Pratt, 1977). */
function fallbacks(stop: string): Uint32Array {
  const table = new Uint32Array(stop.length)
  for (let i = 1, length = 0; i < stop.length; i++) {
    while (length > 0 && stop[i] !== stop[length]) length = table[length - 1]!
    if (stop[i] === stop[length]) length++
    table[i] = length
  }
  return table
}

/** Looks for one string in text that comes in parts; remembers only how much of the string has matched. */
class Seeker {
  readonly stop: string
  readonly #fallbacks: Uint32Array
  #matched = 0

  constructor(stop: string) {
    this.stop = stop
    this.#fallbacks = fallbacks(stop)
  }

  /** Takes one code unit; true when the string ends with it. */
  take(unit: number): boolean {
    while (this.#matched > 0 && this.stop.charCodeAt(this.#matched) !== unit) {
      this.#matched = this.#fallbacks[this.#matched - 1]!
    }
    if (this.stop.charCodeAt(this.#matched) === unit) this.#matched++
    return this.#matched === this.stop.length
  }
}

/**
 * Finds the first of several stop strings in generated text, wherever tokens begin and end. The match that ends first
 * counts; of those that end together, the one listed first. Linear in text times strings; keeps no text.
 * Number and length of the strings are bounded by the caller.
 */
export class StopMatcher {
  readonly #seekers: readonly Seeker[]
  #length = 0
  #match: StopMatch | undefined

  /** @throws request.invalid for an empty stop string */
  constructor(stops: readonly string[]) {
    if (stops.includes('')) fail('request.invalid', { reason: 'a stop sequence must not be empty' })
    this.#seekers = stops.map((stop) => new Seeker(stop))
  }

  /** Takes more text; gives the match, also when it was found in an earlier part. */
  push(text: string): StopMatch | undefined {
    for (let i = 0; i < text.length && !this.#match && this.#seekers.length > 0; i++) {
      const unit = text.charCodeAt(i)
      const found = this.#seekers.find((seeker) => seeker.take(unit))
      if (found) this.#match = { stop: found.stop, end: this.#length + i + 1 }
    }
    this.#length += text.length
    return this.#match
  }
}
