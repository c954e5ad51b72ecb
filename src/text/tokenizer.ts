import { Tokenizer as Binding, type Encoding as BindingEncoding } from 'tokenizers'
import { fail } from '../base/errors.ts'
import { type JsonRecord, recordOf } from '../base/record.ts'
import { readDecoder } from './decoder.ts'
import { type TokenTable, tokenTable } from './detokenizer.ts'
import { parseObject } from './json.ts'
import { type Span, spanConverter } from './offsets.ts'

/** Ids and offsets of one text, taken over from native memory when first asked for: 0.1 s for a million ids. */
export interface Encoding {
  /** Number of ids; free, so that a text too long for a model costs no more. */
  readonly length: number
  readonly ids: readonly number[]
  /** One a token, UTF-8 byte offsets into the text; [0, 0] for special tokens put around it. */
  readonly offsets: readonly Span[]
  /**
   * Ids and offsets in pieces of at most `size` tokens, for a thread that has more to do: of a million tokens the offsets
   * alone take a second. Uses the encoding up: nothing else may be asked of it afterwards.
   */
  pieces(size: number): Generator<EncodedPiece, void, void>
}

export interface EncodedPiece {
  readonly ids: readonly number[]
  readonly offsets: readonly Span[]
}

export interface EncodeOptions {
  /** Let the model's own rule add its special tokens (BOS). Default true. */
  readonly addSpecialTokens?: boolean
}

export interface Tokenizer {
  /**
   * Encodes off the main thread; never truncates or pads. The length of `text` is bounded by the caller.
   * @throws request.invalid when the vocabulary has no way to spell the text
   */
  encode(text: string, options?: EncodeOptions): Promise<Encoding>
  /** Number of tokens, added ones too; a model may have more rows of logits. */
  readonly vocabulary: number
  /** The vocabulary's own spelling (`Ġthe`, `▁the`, `<0x0A>`). */
  tokenOf(id: number): string | undefined
  idOf(token: string): number | undefined
  readonly specialIds: ReadonlySet<number>
  readonly table: TokenTable
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function openBinding(json: string, file: string): Binding {
  try {
    const binding = Binding.fromString(json)
    binding.disableTruncation()
    binding.disablePadding()
    return binding
  } catch (error) {
    return fail('tokenizer.unsupported', { reason: `${file}: ${reasonOf(error)}` }, error)
  }
}

/** A file with a greater id is broken; following it would take memory for the gap. */
const MAX_VOCABULARY = 1 << 24

/** `vocab` of BPE, WordPiece and WordLevel is an object of ids; of Unigram, pairs in the order of their ids. */
function modelTokens(model: JsonRecord): (string | undefined)[] {
  const { vocab } = model
  if (Array.isArray(vocab)) return vocab.map((entry) => (Array.isArray(entry) ? String(entry[0]) : undefined))
  const tokens: (string | undefined)[] = []
  for (const [token, id] of Object.entries(recordOf(vocab))) {
    if (!(Number(id) < MAX_VOCABULARY)) fail('tokenizer.unsupported', { reason: `token ${token} has the id ${id}` })
    tokens[Number(id)] = token
  }
  return tokens
}

interface Vocabulary {
  readonly tokens: readonly (string | undefined)[]
  readonly specialIds: ReadonlySet<number>
}

/** Ids of added tokens come from the binding: it numbers those the model lacks itself, whatever the file says. */
function readVocabulary(definition: JsonRecord, binding: Binding): Vocabulary {
  const tokens = modelTokens(recordOf(definition['model']))
  const specialIds = new Set<number>()
  const added = Array.isArray(definition['added_tokens']) ? definition['added_tokens'].map(recordOf) : []
  for (const { content, special } of added) {
    const id = typeof content === 'string' ? binding.tokenToId(content) : null
    if (id === null) continue
    tokens[id] = content as string
    if (special === true) specialIds.add(id)
  }
  return { tokens: Array.from(tokens), specialIds }
}

class EncodingOnDemand implements Encoding {
  readonly length: number
  readonly #text: string
  readonly #encoding: BindingEncoding
  #ids: readonly number[] | undefined

  constructor(text: string, encoding: BindingEncoding) {
    this.length = encoding.getLength()
    this.#text = text
    this.#encoding = encoding
  }

  get ids(): readonly number[] {
    this.#ids ??= this.#encoding.getIds()
    return this.#ids
  }

  get offsets(): readonly Span[] {
    return spanConverter(this.#text)(this.#encoding.getOffsets())
  }

  *pieces(size: number): Generator<EncodedPiece, void, void> {
    const toBytes = spanConverter(this.#text)
    // The binding cuts an encoding into the first piece and, behind it, the rest in order.
    this.#encoding.truncate(size, 0, 'right')
    for (const piece of [this.#encoding, ...this.#encoding.getOverflowing()]) {
      yield { ids: piece.getIds(), offsets: toBytes(piece.getOffsets()) }
    }
  }
}

/**
 * Opens a tokenizer from the text of a tokenizer.json; blocks while the vocabulary is read (0.1 s for 50 000 tokens).
 * @param file named in errors
 * @throws tokenizer.unsupported
 */
export function openTokenizer(json: string, file = 'tokenizer.json'): Tokenizer {
  const definition = parseObject(json, file)
  const decoder = readDecoder(definition['decoder'])
  const binding = openBinding(json, file)
  const { tokens, specialIds } = readVocabulary(definition, binding)
  return {
    vocabulary: binding.getVocabSize(true),
    specialIds,
    table: tokenTable(tokens, decoder, specialIds),
    tokenOf: (id) => tokens[id],
    idOf: (token) => binding.tokenToId(token) ?? undefined,
    async encode(text, { addSpecialTokens = true } = {}) {
      try {
        return new EncodingOnDemand(text, await binding.encode(text, null, { addSpecialTokens }))
      } catch (error) {
        return fail('request.invalid', { reason: `tokenizer error ${reasonOf(error)}` }, error)
      }
    },
  }
}
