import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { Tokenizer as Binding } from 'tokenizers'
import { Detokenizer, decode } from './detokenizer.ts'
import { convertGgufTokenizer } from './gguf-tokenizer.ts'
import { openTokenizer } from './tokenizer.ts'

function fromGolden(name: string, pre: string): string {
  const file = new URL(`../../test/goldens/tokenizers/${name}.json`, import.meta.url)
  const { metadata } = JSON.parse(readFileSync(file, 'utf8')) as { metadata: Readonly<Record<string, unknown>> }
  const values: Readonly<Record<string, unknown>> = { ...metadata, 'tokenizer.ggml.pre': pre }
  return convertGgufTokenizer({ get: (key) => values[key] }).json
}

/** A vocabulary that only needs to be decoded: no merges, one special token. */
function fromTokens(decoder: unknown, tokens: readonly string[]): string {
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false }
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: 0, content: '</s>', special: true, ...added }],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(['</s>', ...tokens].map((token, id) => [token, id])),
      merges: [],
    },
  })
}

const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true }
const words = ['the', '##ing', 'say', "'", '##s', '.', ',', "n't", 'do', 'not', '##-', '!', 'é', '\ufffd', '']
const pieces = ['▁the', '▁', '▁▁', 'ing', '▁a▁b', '', '\ufffd', '.', '😀', "'", 's']

const families: Readonly<Record<string, string>> = {
  'byte level': fromGolden('byte-level', 'llama-bpe'),
  sentencepiece: fromGolden('sentencepiece', 'default'),
  WordPiece: fromTokens({ type: 'WordPiece', prefix: '##', cleanup: true }, words),
  'WordPiece without clean-up': fromTokens({ type: 'WordPiece', prefix: '##', cleanup: false }, words),
  Metaspace: fromTokens(metaspace, pieces),
  'Metaspace that never prepends': fromTokens({ ...metaspace, prepend_scheme: 'never' }, pieces),
  'no decoder': fromTokens(null, words),
}

/** The two-decode method of incremental detokenizing (prefix and read offsets), over the binding. */
async function twoDecodes(binding: Binding, prompt: readonly number[], generated: readonly number[]): Promise<string> {
  const ids = [...prompt]
  let prefix = Math.max(0, prompt.length - 5)
  let read = prompt.length
  let text = ''
  for (const id of generated) {
    ids.push(id)
    const before = await binding.decode(ids.slice(prefix, read), false)
    const after = await binding.decode(ids.slice(prefix), false)
    const grown = [...after].length > [...before].length
    if (!grown || after.endsWith('\ufffd')) continue
    text += [...after].slice([...before].length).join('')
    prefix = read
    read = ids.length
  }
  return text
}

function stream(detokenizer: Detokenizer, ids: readonly number[]): string {
  return ids.map((id) => detokenizer.push(id)).join('') + detokenizer.flush()
}

/** An invalid run after a valid character reads as more replacement characters in the two-decode method (docs/text.md). */
const fold = (text: string): string => text.replace(/\ufffd+/g, '\ufffd')

for (const [family, json] of Object.entries(families)) {
  const { table, vocabulary, encode } = openTokenizer(json)
  const binding = Binding.fromString(json)
  const anyIds = fc.array(fc.nat(vocabulary + 1), { maxLength: 24 })
  const fallback = table.decoder.bytes === 'fallback'
  const same = fallback ? fold : (text: string) => text
  /** A token that is a word and so lets go of everything held. */
  const word = table.tokens.findIndex((token) => token === 'a' || token === 'the' || token === 'ing')

  test(`${family}: random ids give the text of the two-decode method`, async () => {
    const prompt = [word, word, word]
    await fc.assert(
      fc.asyncProperty(anyIds, async (ids) => {
        const expected = await twoDecodes(binding, prompt, [...ids, word])
        assert.equal(same(stream(new Detokenizer(table), [...ids, word])), same(expected))
      }),
      { numRuns: 200 },
    )
  })

  // Byte fallback: the whole decode turns valid characters of a run that holds an invalid byte into U+FFFD, even those
  // that were sent long before; there whole words of text stand for random ids.
  const wholeIds = fallback
    ? fc.array(fc.string({ unit: 'grapheme', maxLength: 6 })).map((parts) => parts.join(' '))
    : anyIds
  test(`${family}: pushes and flush make the whole decode, with and without special tokens`, async () => {
    await fc.assert(
      fc.asyncProperty(wholeIds as fc.Arbitrary<number[] | string>, fc.boolean(), async (given, skipSpecial) => {
        const ids = typeof given === 'string' ? (await encode(given)).ids : given
        assert.equal(decode(table, ids, { skipSpecial }), await binding.decode([...ids], skipSpecial))
      }),
      { numRuns: 200 },
    )
  })

  test(`${family}: every id decoded alone`, async () => {
    const expected = await binding.decodeBatch(
      Array.from({ length: vocabulary }, (_, id) => [id]),
      false,
    )
    assert.deepEqual(
      expected.map((_, id) => decode(table, [id])),
      expected,
    )
  })

  test(`${family}: no push gives a part of a character`, () => {
    fc.assert(
      fc.property(anyIds, (ids) => {
        const detokenizer = new Detokenizer(table)
        for (const id of ids) assert.doesNotMatch(detokenizer.push(id), /\p{Cs}/u)
      }),
    )
  })
}

test('a text that continues a prompt keeps its first space', async () => {
  const { table, encode } = openTokenizer(families['sentencepiece']!)
  const { ids } = await encode('The dogs', { addSpecialTokens: false })
  assert.equal(decode(table, ids), 'The dogs')
  assert.equal(stream(new Detokenizer(table), ids), ' The dogs')
})

test('characters come out whole, with their last byte', async () => {
  for (const family of ['byte level', 'sentencepiece']) {
    const { table, encode } = openTokenizer(families[family]!)
    const { ids } = await encode('a🙂b', { addSpecialTokens: false })
    const detokenizer = new Detokenizer(table)
    const parts = ids.map((id) => detokenizer.push(id))
    assert.deepEqual(
      parts
        .filter((part) => part !== '')
        .map((part) => part.trim())
        .filter(Boolean),
      ['a', '🙂', 'b'],
    )
    assert.ok(parts.includes(''), 'the emoji of this vocabulary is several tokens')
  }
})

test('an incomplete character at the end comes out of flush as U+FFFD, once', async () => {
  for (const [family, expected] of [
    ['byte level', '\ufffd'],
    ['sentencepiece', '\ufffd\ufffd\ufffd'],
  ] as const) {
    const { table, encode } = openTokenizer(families[family]!)
    const { ids } = await encode('a🙂', { addSpecialTokens: false })
    const detokenizer = new Detokenizer(table)
    for (const id of ids.slice(0, -1)) detokenizer.push(id)
    assert.equal(detokenizer.flush(), expected)
    assert.equal(detokenizer.flush(), '')
  }
})

test('a special token inside a character: skipped, it does not break the character', async () => {
  const { table, encode, specialIds } = openTokenizer(families['byte level']!)
  const { ids } = await encode('🙂', { addSpecialTokens: false })
  const [special] = specialIds
  const mixed = [ids[0]!, special!, ...ids.slice(1)]
  assert.ok(ids.length > 1)
  assert.equal(stream(new Detokenizer(table, { skipSpecial: true }), mixed), '🙂')
  assert.equal(fold(stream(new Detokenizer(table), mixed)), '\ufffd<|endoftext|>\ufffd')
})

test('a run of bytes that never becomes a character is held as a count', () => {
  const { table, idOf } = openTokenizer(families['sentencepiece']!)
  const bad = idOf('<0xFF>')!
  const detokenizer = new Detokenizer(table)
  for (let i = 0; i < 1000; i++) assert.equal(detokenizer.push(bad), '')
  assert.equal(detokenizer.push(idOf('a')!), `${'\ufffd'.repeat(1000)}a`)
})
