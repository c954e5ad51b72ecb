import { fail } from '../base/errors.ts'

/** How text is cut before merging, and what goes with it: llama.cpp's `tokenizer.ggml.pre`. */
export interface PreTokenizer {
  /** `pre_tokenizer` and `normalizer` sections of tokenizer.json. */
  readonly preTokenizer: unknown
  readonly normalizer: unknown
  /** A word that is a token is taken whole, whatever the merges say. */
  readonly ignoreMerges: boolean
  /** Whether BOS goes in front when the file does not say. */
  readonly addBos: boolean
}

const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const SYMBOLS = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*'
const SYMBOLS_OR_SLASHES = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*'
/** A run of letters with one character before it that is no letter, digit or line end. */
const LED_WORD = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+'

/** Words that end where small letters end: `camelCase` is two. */
function casedWords(suffix: string): string {
  const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]'
  const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'
  const lead = '[^\\r\\n\\p{L}\\p{N}]?'
  return `${lead}${upper}*${lower}+${suffix}|${lead}${upper}+${lower}*${suffix}`
}

const LLAMA3 = `${CONTRACTION}|${LED_WORD}|\\p{N}{1,3}|${SYMBOLS}|${SPACES}`
const QWEN2 = `${CONTRACTION}|${LED_WORD}|\\p{N}|${SYMBOLS}|${SPACES}`
const TEKKEN = `${casedWords('')}|\\p{N}|${SYMBOLS_OR_SLASHES}|${SPACES}`
const GPT4O = `${casedWords(`${CONTRACTION}?`)}|\\p{N}{1,3}|${SYMBOLS_OR_SLASHES}|${SPACES}`

const byteLevel = (useRegex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
})

const sequence = (...pretokenizers: unknown[]) => ({ type: 'Sequence', pretokenizers })

const split = (regex: string) =>
  sequence(
    { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false },
    // The pattern above has already cut the words; ByteLevel only respells them.
    byteLevel(false),
  )

const plain = { normalizer: null, ignoreMerges: false, addBos: false }
const gpt2: PreTokenizer = { ...plain, preTokenizer: byteLevel(true) }
const singleDigits: PreTokenizer = {
  ...plain,
  preTokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)),
}
const llama3: PreTokenizer = { ...plain, preTokenizer: split(LLAMA3), ignoreMerges: true, addBos: true }
const llama3Merging: PreTokenizer = { ...plain, preTokenizer: split(LLAMA3) }
const qwen2: PreTokenizer = { ...plain, preTokenizer: split(QWEN2), normalizer: { type: 'NFC' } }
const qwen2Raw: PreTokenizer = { ...plain, preTokenizer: split(QWEN2) }
const tekken: PreTokenizer = { ...plain, preTokenizer: split(TEKKEN), ignoreMerges: true, addBos: true }
const gpt4o: PreTokenizer = { ...plain, preTokenizer: split(GPT4O) }

/** Names as llama.cpp's converter writes them. Only those whose model's own tokenizer.json is known to say the same. */
const known: Readonly<Record<string, PreTokenizer>> = {
  default: gpt2,
  'gpt-2': gpt2,
  'phi-2': gpt2,
  mpt: gpt2,
  olmo: gpt2,
  smollm: singleDigits,
  starcoder: singleDigits,
  refact: singleDigits,
  'llama-bpe': llama3,
  llama3,
  'llama-v3': llama3,
  dbrx: llama3Merging,
  'smaug-bpe': llama3Merging,
  qwen2,
  'deepseek-r1-qwen': qwen2Raw,
  tekken,
  'gpt-4o': gpt4o,
  llama4: gpt4o,
}

/** @throws tokenizer.unsupported for a name that is not in the table: a guess would cut words wrongly without a sign. */
export function preTokenizerOf(name: string): PreTokenizer {
  if (Object.hasOwn(known, name)) return known[name]!
  return fail('tokenizer.unsupported', {
    reason: `GGUF pre-tokenizer "${name}" is not known; known: ${Object.keys(known).join(', ')}`,
  })
}
