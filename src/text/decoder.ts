import { isUtf8 } from 'node:buffer'
import { fail } from '../base/errors.ts'
import { type JsonRecord, recordOf } from '../base/record.ts'
import { byteOfLetter } from './byte-alphabet.ts'
import { textOf } from './utf8.ts'

/** What one token adds to a text: text, or bytes that only make characters together with other tokens. */
export type Piece = string | Uint8Array

/** A tokenizer's `decoder` section as a rule for one token at a time. */
export interface Decoder {
  /** `first`: the token begins the text (nothing, not even a prompt, before it). */
  piece(token: string, first: boolean): Piece
  /** How bytes of several tokens make characters. */
  readonly bytes: 'level' | 'fallback'
  /** This many copies of `content` fall away at the beginning of a whole text. */
  readonly strip: { readonly content: string; readonly count: number }
}

type Rewrite = (token: string, first: boolean) => string

const CLEANUPS: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
]

const cleaned = (text: string): string => CLEANUPS.reduce((t, [from, to]) => t.replaceAll(from, to), text)

/** No decoder: tokens are joined by spaces. */
const joined: Rewrite = (token, first) => (first ? token : ` ${token}`)

function wordPiece(step: JsonRecord): Rewrite {
  const prefix = String(step['prefix'] ?? '##')
  const tidy = step['cleanup'] === false ? (text: string) => text : cleaned
  return (token, first) => tidy(first ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`)
}

function metaspace(step: JsonRecord): Rewrite {
  const mark = String(step['replacement'] ?? '▁')
  const scheme = step['prepend_scheme'] ?? (step['add_prefix_space'] === false ? 'never' : 'always')
  return (token, first) => token.replaceAll(mark, first && scheme !== 'never' ? '' : ' ')
}

function replace(step: JsonRecord): Rewrite {
  const pattern = recordOf(step['pattern'])['String']
  if (typeof pattern !== 'string') return unsupported('Replace with a regular expression')
  const content = String(step['content'])
  return (token) => token.split(pattern).join(content)
}

const unsupported = (what: string): never =>
  fail('tokenizer.unsupported', { reason: `decoder ${what} is not supported` })

/** A byte-level token's bytes; one with letters outside the alphabet (an added token) stands for itself. */
function levelPiece(token: string): Piece {
  const bytes = Buffer.allocUnsafe(token.length)
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfLetter(token.charCodeAt(i))
    if (byte === undefined) return token
    bytes[i] = byte
  }
  return isUtf8(bytes) ? textOf(bytes) : new Uint8Array(bytes)
}

function fallbackPiece(token: string): Piece {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? Uint8Array.of(Number.parseInt(token.slice(3, 5), 16)) : token
}

const stepsOf = (json: unknown): readonly JsonRecord[] => {
  const step = recordOf(json)
  if (step['type'] !== 'Sequence') return [step]
  return (Array.isArray(step['decoders']) ? step['decoders'] : []).flatMap(stepsOf)
}

const REWRITES: Readonly<Record<string, (step: JsonRecord) => Rewrite>> = {
  WordPiece: wordPiece,
  Metaspace: metaspace,
  Replace: replace,
}

/**
 * Reads the `decoder` section of tokenizer.json. Supported: none, ByteLevel, WordPiece, and sequences of Replace,
 * Metaspace, ByteFallback, Fuse and Strip in the order sentencepiece vocabularies have them.
 * @throws tokenizer.unsupported
 */
export function readDecoder(json: unknown): Decoder {
  if (json === null || json === undefined) return { piece: joined, bytes: 'level', strip: { content: '', count: 0 } }
  const rewrites: Rewrite[] = []
  let toPiece: ((token: string) => Piece) | undefined
  let fused = false
  let strip = { content: '', count: 0 }
  for (const step of stepsOf(json)) {
    const type = String(step['type'])
    if (type === 'Fuse') fused = true
    else if (type === 'ByteLevel') toPiece = levelPiece
    else if (type === 'ByteFallback') toPiece = fallbackPiece
    else if (type === 'Strip') strip = fused ? readStrip(step) : unsupported('Strip of every token')
    else if (fused || toPiece) unsupported(`${type} after ${fused ? 'Fuse' : 'bytes'}`)
    else rewrites.push((REWRITES[type] ?? (() => unsupported(type)))(step))
  }
  const rewrite: Rewrite = (token, first) => rewrites.reduce((text, each) => each(text, first), token)
  const last = toPiece ?? ((token: string) => token)
  return {
    piece: (token, first) => last(rewrites.length > 0 ? rewrite(token, first) : token),
    bytes: toPiece === fallbackPiece ? 'fallback' : 'level',
    strip,
  }
}

function readStrip(step: JsonRecord): { content: string; count: number } {
  if (Number(step['stop'] ?? 0) !== 0) unsupported('Strip at the end')
  return { content: String(step['content'] ?? ' '), count: Number(step['start'] ?? 0) }
}
