import { fail } from '../base/errors.ts'
import type { TemplateSource } from './chat-template.ts'
import { type Merge, mergesFromScores, parseMerge } from './gguf-merges.ts'
import { flagAt, type GgufMetadata, idAt, numbersAt, stringAt, stringsAt } from './gguf-metadata.ts'
import { preTokenizerOf } from './gguf-pre-tokenizer.ts'

/** What a GGUF file says about text, in the shapes Hugging Face files have. */
export interface GgufTokenizer {
  /** Text of the tokenizer.json that spells the same. */
  readonly json: string
  readonly bosToken: string | undefined
  readonly eosToken: string | undefined
  /** EOS, and end of turn and of message where the file names them. */
  readonly eosIds: readonly number[]
  readonly template: TemplateSource | undefined
}

/** Values of `tokenizer.ggml.token_type` that matter here (GGUF specification). */
const UNKNOWN = 2
const CONTROL = 3
const USER_DEFINED = 4

interface Vocabulary {
  readonly tokens: readonly string[]
  readonly types: ArrayLike<number>
  readonly bos: number | undefined
  readonly eos: number | undefined
  readonly unk: number | undefined
  readonly ends: readonly number[]
}

const KEY = 'tokenizer.ggml.'

/** Ids llama.cpp takes for a sentencepiece vocabulary that names none. */
const LLAMA_DEFAULTS = { unk: 0, bos: 1, eos: 2 }

function readVocabulary(metadata: GgufMetadata, defaults: { unk?: number; bos?: number; eos?: number }): Vocabulary {
  const listed = stringsAt(metadata, `${KEY}tokens`) ?? missing('tokens')
  const tokens = listed.map((token, id) => (token === '' ? `[EMPTY_${id}]` : token))
  const idOf = (name: string) => idAt(metadata, `${KEY}${name}_token_id`, tokens.length)
  const eos = idOf('eos') ?? defaults.eos
  return {
    tokens,
    types: numbersAt(metadata, `${KEY}token_type`, tokens.length) ?? new Uint8Array(tokens.length),
    bos: idOf('bos') ?? defaults.bos,
    eos,
    unk: idOf('unknown') ?? defaults.unk,
    ends: [...new Set([eos, idOf('eot'), idOf('eom')])].filter((id) => id !== undefined),
  }
}

const missing = (key: string): never => fail('tokenizer.unsupported', { reason: `GGUF metadata has no ${KEY}${key}` })

/** Tokens that are found in text before anything is cut or merged. */
function addedTokens(vocabulary: Vocabulary, isSpecial: (id: number) => boolean, isBlank: (token: string) => boolean) {
  return vocabulary.tokens.flatMap((content, id) => {
    const special = isSpecial(id)
    if (!special && (vocabulary.types[id] !== USER_DEFINED || isBlank(content))) return []
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }]
  })
}

/** BOS in front and EOS behind, where asked for and known. */
function postProcessor(vocabulary: Vocabulary, addBos: boolean, addEos: boolean) {
  const front = addBos && vocabulary.bos !== undefined ? [vocabulary.bos] : []
  const back = addEos && vocabulary.eos !== undefined ? [vocabulary.eos] : []
  if (front.length + back.length === 0) return null
  const token = (id: number) => vocabulary.tokens[id]!
  const special = (id: number, type: number) => ({ SpecialToken: { id: token(id), type_id: type } })
  const around = (name: string, type: number) => [
    ...front.map((id) => special(id, type)),
    { Sequence: { id: name, type_id: type } },
    ...back.map((id) => special(id, type)),
  ]
  const used = [...front, ...back].map((id) => [token(id), { id: token(id), ids: [id], tokens: [token(id)] }])
  return {
    type: 'TemplateProcessing',
    single: around('A', 0),
    pair: [...around('A', 0), ...around('B', 1)],
    special_tokens: Object.fromEntries(used),
  }
}

function bpeModel(tokens: readonly string[], merges: readonly Merge[], options: Record<string, unknown>) {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]))
  const distinct = Object.keys(vocab).length
  if (distinct !== tokens.length) {
    fail('tokenizer.unsupported', { reason: `${tokens.length - distinct} tokens of the GGUF vocabulary occur twice` })
  }
  return {
    type: 'BPE',
    dropout: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    vocab,
    merges,
    ...options,
  }
}

interface Sections {
  readonly vocabulary: Vocabulary
  readonly sections: Record<string, unknown>
}

/** `tokenizer.ggml.model` "gpt2": byte-level BPE. */
function byteLevel(metadata: GgufMetadata): Sections {
  const vocabulary = readVocabulary(metadata, {})
  const rule = preTokenizerOf(stringAt(metadata, `${KEY}pre`) ?? 'default')
  const merges = (stringsAt(metadata, `${KEY}merges`) ?? missing('merges')).map(parseMerge)
  const special = new Set([vocabulary.bos, ...vocabulary.ends])
  const decoder = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true }
  const addBos = flagAt(metadata, `${KEY}add_bos_token`) ?? rule.addBos
  return {
    vocabulary,
    sections: {
      added_tokens: addedTokens(
        vocabulary,
        (id) => vocabulary.types[id] === CONTROL || special.has(id),
        () => false,
      ),
      normalizer: rule.normalizer,
      pre_tokenizer: rule.preTokenizer,
      post_processor: postProcessor(vocabulary, addBos, flagAt(metadata, `${KEY}add_eos_token`) ?? false),
      decoder,
      model: bpeModel(vocabulary.tokens, merges, {
        unk_token: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: rule.ignoreMerges,
      }),
    },
  }
}

const BLANK = /^[ ▁]+$/u

/** Gemma files spell runs of spaces with real spaces; the merges are between `▁`. */
const respelled = (token: string): string => (BLANK.test(token) ? token.replaceAll(' ', '▁') : token)

/** `tokenizer.ggml.model` "llama": BPE as sentencepiece trains it, unknown characters as byte tokens. */
function sentencePiece(metadata: GgufMetadata): Sections {
  const read = readVocabulary(metadata, LLAMA_DEFAULTS)
  const vocabulary = { ...read, tokens: read.tokens.map(respelled) }
  const special = new Set([vocabulary.unk, vocabulary.bos, ...vocabulary.ends])
  const prefix = flagAt(metadata, `${KEY}add_space_prefix`) ?? true
  const strip = prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []
  const flag = (name: string, otherwise: boolean) => flagAt(metadata, `${KEY}${name}`) ?? otherwise
  return {
    vocabulary,
    sections: {
      added_tokens: addedTokens(
        vocabulary,
        (id) => vocabulary.types[id] === CONTROL || vocabulary.types[id] === UNKNOWN || special.has(id),
        (token) => BLANK.test(token),
      ),
      normalizer: null,
      pre_tokenizer: {
        type: 'Metaspace',
        replacement: '▁',
        prepend_scheme: prefix ? 'first' : 'never',
        split: false,
      },
      post_processor: postProcessor(vocabulary, flag('add_bos_token', true), flag('add_eos_token', false)),
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          ...strip,
        ],
      },
      model: bpeModel(vocabulary.tokens, sentencePieceMerges(metadata, vocabulary.tokens), {
        unk_token: vocabulary.tokens[vocabulary.unk ?? 0],
        fuse_unk: true,
        byte_fallback: true,
        ignore_merges: false,
      }),
    },
  }
}

function sentencePieceMerges(metadata: GgufMetadata, tokens: readonly string[]): readonly Merge[] {
  const merges = stringsAt(metadata, `${KEY}merges`)
  if (merges) return merges.map(parseMerge)
  // Gemma's scores do not follow its merge order; the order of its vocabulary does.
  if (stringAt(metadata, 'general.architecture')?.startsWith('gemma')) return mergesFromScores(tokens, (id) => -id)
  const scores = numbersAt(metadata, `${KEY}scores`, tokens.length) ?? missing('scores')
  return mergesFromScores(tokens, (id) => scores[id]!)
}

/** A file may carry several named templates beside the main one. */
function readTemplate(metadata: GgufMetadata): TemplateSource | undefined {
  const main = stringAt(metadata, 'tokenizer.chat_template')
  const names = stringsAt(metadata, 'tokenizer.chat_templates') ?? []
  if (names.length === 0) return main
  const named = names.map((name) => ({ name, template: stringAt(metadata, `tokenizer.chat_template.${name}`) ?? '' }))
  return main === undefined ? named : [{ name: 'default', template: main }, ...named]
}

const MODELS: Readonly<Record<string, (metadata: GgufMetadata) => Sections>> = {
  gpt2: byteLevel,
  llama: sentencePiece,
}

/** Turns the vocabulary of a GGUF file into a tokenizer.json. @throws tokenizer.unsupported */
export function convertGgufTokenizer(metadata: GgufMetadata): GgufTokenizer {
  const name = stringAt(metadata, `${KEY}model`) ?? missing('model')
  if (!Object.hasOwn(MODELS, name)) {
    fail('tokenizer.unsupported', { reason: `GGUF tokenizer model "${name}" is not supported; supported: gpt2, llama` })
  }
  const { vocabulary, sections } = MODELS[name]!(metadata)
  const token = (id: number | undefined) => (id === undefined ? undefined : vocabulary.tokens[id])
  return {
    json: JSON.stringify({ version: '1.0', truncation: null, padding: null, ...sections }),
    bosToken: token(vocabulary.bos),
    eosToken: token(vocabulary.eos),
    eosIds: vocabulary.ends,
    template: readTemplate(metadata),
  }
}
