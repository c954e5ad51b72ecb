import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { convertGgufTokenizer } from './gguf-tokenizer.ts'
import { openTokenizer } from './tokenizer.ts'

const golden = JSON.parse(
  readFileSync(new URL('../../test/goldens/tokenizers/byte-level.json', import.meta.url), 'utf8'),
) as { metadata: Readonly<Record<string, unknown>> }
const values: Readonly<Record<string, unknown>> = { ...golden.metadata, 'tokenizer.ggml.pre': 'llama-bpe' }
const { json } = convertGgufTokenizer({ get: (key) => values[key] })
const tokenizer = openTokenizer(json)

test('an encoding in pieces is the encoding', async () => {
  const text = 'Once upon a time, naïve 😀 '.repeat(9)
  const { ids, offsets } = await tokenizer.encode(text)
  for (const size of [1, 7, ids.length - 1, ids.length, ids.length + 1]) {
    const pieces = [...(await tokenizer.encode(text)).pieces(size)]
    assert.deepEqual(
      pieces.flatMap((piece) => piece.ids),
      ids,
    )
    assert.deepEqual(
      pieces.flatMap((piece) => piece.offsets),
      offsets,
    )
    assert.ok(pieces.every((piece) => piece.ids.length <= size))
  }
  assert.equal([...(await tokenizer.encode('', { addSpecialTokens: false })).pieces(5)].flatMap((p) => p.ids).length, 0)
})

test('offsets are UTF-8 bytes; tokens of one character share its span; added tokens have none', async () => {
  const text = 'aé€😀 b'
  const { ids, offsets } = await tokenizer.encode(text)
  assert.equal(offsets.length, ids.length)
  assert.deepEqual(offsets[0], [0, 0])
  const bytes = Buffer.from(text)
  const spans = offsets.map(([start, stop]) => bytes.subarray(start, stop).toString())
  assert.deepEqual([...new Set(spans.join('|').split('|'))], ['', 'aé', 'é', '€', '😀', ' ', 'b'])
})

test('spans cover a text in order, whatever its characters', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), async (text) => {
      const { offsets } = await tokenizer.encode(text, { addSpecialTokens: false })
      let end = 0
      for (const [start, stop] of offsets) {
        assert.ok(start <= end && stop >= end && stop > start, JSON.stringify(offsets))
        end = stop
      }
      assert.equal(end, Buffer.byteLength(text))
    }),
  )
})

test('truncation and padding of tokenizer.json are not followed', async () => {
  const changed = {
    ...JSON.parse(json),
    truncation: { direction: 'Right', max_length: 2, strategy: 'LongestFirst', stride: 0 },
    padding: {
      strategy: { Fixed: 50 },
      direction: 'Right',
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: '!',
    },
  }
  const text = 'The quick brown fox'
  const { ids } = await openTokenizer(JSON.stringify(changed)).encode(text)
  assert.deepEqual(ids, (await tokenizer.encode(text)).ids)
  assert.ok(ids.length > 2 && ids.length < 50)
})

test('tokens, ids and special ids', async () => {
  assert.equal(tokenizer.vocabulary, (golden.metadata['tokenizer.ggml.tokens'] as string[]).length)
  assert.equal(tokenizer.tokenOf(1), '<|im_start|>')
  assert.equal(tokenizer.idOf('<|im_start|>'), 1)
  assert.equal(tokenizer.tokenOf(1_000_000), undefined)
  assert.equal(tokenizer.idOf('no such token'), undefined)
  const { ids } = await tokenizer.encode('<|im_start|>x', { addSpecialTokens: false })
  assert.equal(ids[0], 1)
  assert.ok(tokenizer.specialIds.has(1))
})

test('an added token gets the id the binding gives it, not the one the file names', () => {
  const definition = JSON.parse(json)
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  const content = '<|late|>'
  definition.added_tokens.push({ id: 9000, content, ...added })
  const changed = openTokenizer(JSON.stringify(definition))
  assert.equal(changed.idOf(content), tokenizer.vocabulary)
  assert.equal(changed.tokenOf(tokenizer.vocabulary), content)
  assert.ok(changed.specialIds.has(tokenizer.vocabulary))
})

test('the event loop turns while a long text is encoded', async () => {
  const text = 'The quick brown fox jumps over 2024 lazy dogs. '.repeat(4000)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const { ids } = await tokenizer.encode(text)
  clearInterval(timer)
  assert.ok(ids.length > 10_000)
  assert.ok(turns > 0)
})

test('a lone surrogate is encoded as the replacement character', async () => {
  const [lone, replaced] = await Promise.all([tokenizer.encode('a\ud800b'), tokenizer.encode('a\ufffdb')])
  assert.deepEqual(lone.ids, replaced.ids)
})

for (const [what, text, message] of [
  ['no JSON', '{', /tokenizer.json is not JSON/],
  ['no object', '[]', /does not hold an object/],
  ['no tokenizer', '{}', /tokenizer.json: /],
  ['an id far beyond any vocabulary', json.replace('"!":', '"far":4000000000,"!":'), /token far has the id 4000000000/],
  ['a decoder nobody knows', JSON.stringify({ ...JSON.parse(json), decoder: { type: 'CTC' } }), /CTC is not supported/],
] as const) {
  test(`${what}: tokenizer.unsupported`, () => {
    assert.throws(() => openTokenizer(text), { code: 'tokenizer.unsupported', message })
  })
}
