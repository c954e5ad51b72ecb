import { isUtf8 } from 'node:buffer'
import { incompleteTail, textOf } from './utf8.ts'

/** Puts characters together out of the bytes of successive tokens; holds what is not yet a whole character. */
export interface ByteRun {
  readonly held: boolean
  /** Takes the bytes of one token; gives the text that is certain now. */
  take(bytes: Uint8Array): string
  /** What is held becomes replacement characters, because something that is no byte follows, or nothing. */
  end(): string
}

const NONE: Uint8Array = new Uint8Array(0)
const REPLACEMENT = '\ufffd'

/** Byte-level vocabularies: the bytes of all tokens are one stream, and only its unfinished end is held (3 bytes at most). */
export class LevelRun implements ByteRun {
  #tail = NONE

  get held(): boolean {
    return this.#tail.length > 0
  }

  take(bytes: Uint8Array): string {
    const all = this.held ? Buffer.concat([this.#tail, bytes]) : bytes
    const cut = all.length - incompleteTail(all)
    this.#tail = all.slice(cut)
    return textOf(all.subarray(0, cut))
  }

  end(): string {
    const text = textOf(this.#tail)
    this.#tail = NONE
    return text
  }
}

/**
 * Byte-fallback vocabularies (`<0xE2>`): a character is given out when its last byte comes. Bytes that cannot make one
 * stay held with all byte tokens that follow, and each of them reads as U+FFFD, which is the rule of the `ByteFallback`
 * decoder; from then on only their number matters.
 */
export class FallbackRun implements ByteRun {
  #bytes = NONE
  #broken = 0

  get held(): boolean {
    return this.#bytes.length > 0 || this.#broken > 0
  }

  take(bytes: Uint8Array): string {
    if (this.#broken > 0) {
      this.#broken += bytes.length
      return ''
    }
    const all = this.held ? Buffer.concat([this.#bytes, bytes]) : bytes
    const whole = isUtf8(all)
    if (!whole && incompleteTail(all) !== all.length) this.#broken = all.length
    this.#bytes = whole || this.#broken > 0 ? NONE : all
    return whole ? textOf(all) : ''
  }

  end(): string {
    const text = REPLACEMENT.repeat(this.#bytes.length + this.#broken)
    this.#bytes = NONE
    this.#broken = 0
    return text
  }
}
