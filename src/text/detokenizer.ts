import { type ByteRun, FallbackRun, LevelRun } from './byte-run.ts'
import type { Decoder, Piece } from './decoder.ts'

/** Everything detokenizing needs of a model: made once, shared by all requests, never changed. */
export interface TokenTable {
  readonly decoder: Decoder
  /** The vocabulary's own spelling of each id; holes for ids without a token. */
  readonly tokens: readonly (string | undefined)[]
  /** What each id adds to a text that has already begun. */
  readonly pieces: readonly (Piece | undefined)[]
  readonly specialIds: ReadonlySet<number>
}

export function tokenTable(
  tokens: readonly (string | undefined)[],
  decoder: Decoder,
  specialIds: ReadonlySet<number>,
): TokenTable {
  const pieces = tokens.map((token) => (token === undefined ? undefined : decoder.piece(token, false)))
  return { decoder, tokens, pieces, specialIds }
}

export interface DetokenizerOptions {
  /** Special tokens add nothing. Default false: they add their own text. */
  readonly skipSpecial?: boolean
  /** The ids begin a text, and a space in front of the first word falls away. Default false: they go on from a prompt. */
  readonly atStart?: boolean
}

/**
 * Text of ids as they come, one table look-up a token. Never gives half a character; unknown ids add nothing.
 * Holds at most three bytes, or a count.
 */
export class Detokenizer {
  readonly #table: TokenTable
  readonly #skipSpecial: boolean
  readonly #run: ByteRun
  #begun: boolean
  #strip: number

  constructor(table: TokenTable, options: DetokenizerOptions = {}) {
    this.#table = table
    this.#skipSpecial = options.skipSpecial ?? false
    this.#run = table.decoder.bytes === 'fallback' ? new FallbackRun() : new LevelRun()
    this.#begun = !options.atStart
    this.#strip = options.atStart ? table.decoder.strip.count : 0
  }

  /** Takes the next id; gives the text it added, "" while a character is incomplete. */
  push(id: number): string {
    if (this.#skipSpecial && this.#table.specialIds.has(id)) return ''
    const piece = this.#begun ? this.#table.pieces[id] : this.#firstPiece(id)
    if (piece === undefined) return ''
    if (typeof piece !== 'string') return this.#stripped(this.#run.take(piece))
    return this.#stripped(this.#run.held ? this.#run.end() + piece : piece)
  }

  /** No id follows: what is held of an incomplete character comes out as U+FFFD. */
  flush(): string {
    return this.#stripped(this.#run.end())
  }

  #firstPiece(id: number): Piece | undefined {
    const token = this.#table.tokens[id]
    if (token === undefined) return undefined
    this.#begun = true
    return this.#table.decoder.piece(token, true)
  }

  #stripped(text: string): string {
    if (this.#strip === 0 || text === '') return text
    const { content } = this.#table.decoder.strip
    let at = 0
    while (this.#strip > 0 && text.startsWith(content, at)) {
      at += content.length
      this.#strip--
    }
    if (at < text.length) this.#strip = 0
    return text.slice(at)
  }
}

/** Text of a whole list of ids, `atStart` unless told otherwise. Several parts of one text: one Detokenizer instead. */
export function decode(table: TokenTable, ids: readonly number[], options: DetokenizerOptions = {}): string {
  const detokenizer = new Detokenizer(table, { atStart: true, ...options })
  let text = ''
  for (const id of ids) text += detokenizer.push(id)
  return text + detokenizer.flush()
}
