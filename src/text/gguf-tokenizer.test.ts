import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { LoquentError } from '../base/errors.ts'
import { convertGgufTokenizer } from './gguf-tokenizer.ts'
import { openTokenizer } from './tokenizer.ts'

interface Golden {
  readonly metadata: Readonly<Record<string, unknown>>
  readonly texts: readonly string[]
  readonly ids: Readonly<Record<string, readonly (readonly number[])[]>>
}

const golden = (name: string): Golden =>
  JSON.parse(readFileSync(new URL(`../../test/goldens/tokenizers/${name}.json`, import.meta.url), 'utf8')) as Golden

const metadataOf = (values: Readonly<Record<string, unknown>>) => ({ get: (key: string) => values[key] })
const open = (values: Readonly<Record<string, unknown>>) => openTokenizer(convertGgufTokenizer(metadataOf(values)).json)

async function sameIds(
  values: Readonly<Record<string, unknown>>,
  texts: readonly string[],
  ids: readonly (readonly number[])[],
) {
  const tokenizer = open(values)
  for (const [i, text] of texts.entries()) {
    const encoding = await tokenizer.encode(text, { addSpecialTokens: false })
    assert.deepEqual(encoding.ids, ids[i], JSON.stringify(text))
  }
}

const byteLevel = golden('byte-level')
const sentencePiece = golden('sentencepiece')

for (const [pre, ids] of Object.entries(byteLevel.ids)) {
  test(`byte-level vocabulary, pre-tokenizer ${pre}`, async () => {
    await sameIds({ ...byteLevel.metadata, 'tokenizer.ggml.pre': pre }, byteLevel.texts, ids)
  })
}

test('the pre-tokenizers of the golden cut its texts differently', () => {
  const distinct = new Set(Object.values(byteLevel.ids).map((ids) => JSON.stringify(ids)))
  assert.equal(distinct.size, Object.keys(byteLevel.ids).length)
})

for (const [setting, prefix] of [
  ['prefix', true],
  ['no prefix', false],
] as const) {
  test(`sentencepiece vocabulary, ${setting}: merges from scores`, async () => {
    const values = { ...sentencePiece.metadata, 'tokenizer.ggml.add_space_prefix': prefix }
    await sameIds(values, sentencePiece.texts, sentencePiece.ids[setting]!)
  })
}

test('typed arrays serve as scores and types', async () => {
  const values = {
    ...sentencePiece.metadata,
    'tokenizer.ggml.scores': Float32Array.from(sentencePiece.metadata['tokenizer.ggml.scores'] as number[]),
    'tokenizer.ggml.token_type': Int32Array.from(sentencePiece.metadata['tokenizer.ggml.token_type'] as number[]),
  }
  await sameIds(values, sentencePiece.texts, sentencePiece.ids['prefix']!)
})

test('BOS and EOS are put around a text where the file says so', async () => {
  const encode = async (extra: Readonly<Record<string, unknown>>) =>
    (await open({ ...sentencePiece.metadata, ...extra }).encode('a')).ids
  const bare = await encode({ 'tokenizer.ggml.add_bos_token': false })
  assert.deepEqual(await encode({}), [1, ...bare])
  assert.deepEqual(await encode({ 'tokenizer.ggml.add_eos_token': true }), [1, ...bare, 2])
  const level = open({ ...byteLevel.metadata, 'tokenizer.ggml.pre': 'llama-bpe' })
  assert.equal((await level.encode('a')).ids[0], 1)
  const none = open({ ...byteLevel.metadata, 'tokenizer.ggml.pre': 'qwen2' })
  assert.notEqual((await none.encode('a')).ids[0], 1)
})

test('special tokens, ends and templates are read', () => {
  const read = convertGgufTokenizer(
    metadataOf({
      ...byteLevel.metadata,
      'tokenizer.ggml.eot_token_id': 0,
      'tokenizer.chat_templates': ['tool_use'],
      'tokenizer.chat_template.tool_use': 'tools',
    }),
  )
  assert.deepEqual(read.eosIds, [2, 0])
  assert.equal(read.bosToken, '<|im_start|>')
  assert.equal(read.eosToken, '<|im_end|>')
  assert.deepEqual(read.template, [
    { name: 'default', template: byteLevel.metadata['tokenizer.chat_template'] },
    { name: 'tool_use', template: 'tools' },
  ])
  assert.deepEqual([...open(byteLevel.metadata).specialIds].sort(), [0, 1, 2])
})

test('tokens with names JavaScript objects have of their own', async () => {
  const tokens = ['a', '__proto__', 'constructor', '1', '0']
  const values = {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.merges': [],
    'tokenizer.ggml.token_type': [1, 4, 4, 1, 1],
  }
  const tokenizer = open(values)
  assert.deepEqual((await tokenizer.encode('a__proto__constructor10')).ids, [0, 1, 2, 3, 4])
  assert.deepEqual(
    tokens.map((_, id) => tokenizer.tokenOf(id)),
    tokens,
  )
})

const broken: readonly (readonly [string, Readonly<Record<string, unknown>>, RegExp])[] = [
  [
    'an unknown pre-tokenizer',
    { 'tokenizer.ggml.pre': 'martian' },
    /pre-tokenizer "martian" is not known; known: .*smollm/,
  ],
  ['an inherited name as pre-tokenizer', { 'tokenizer.ggml.pre': 'constructor' }, /"constructor" is not known/],
  ['another model', { 'tokenizer.ggml.model': 'rwkv' }, /model "rwkv" is not supported/],
  ['no tokens', { 'tokenizer.ggml.tokens': undefined }, /no tokenizer.ggml.tokens/],
  ['no merges', { 'tokenizer.ggml.merges': undefined }, /no tokenizer.ggml.merges/],
  ['tokens that are no strings', { 'tokenizer.ggml.tokens': [1, 2] }, /tokens is not a list of strings/],
  ['too few types', { 'tokenizer.ggml.token_type': [3] }, /token_type is shorter than the vocabulary/],
  ['a merge of unknown tokens', { 'tokenizer.ggml.merges': ['zz yy'] }, /merge|vocabulary/i],
]

for (const [what, change, message] of broken) {
  test(`${what}: a typed error`, () => {
    assert.throws(
      () => open({ ...byteLevel.metadata, 'tokenizer.ggml.pre': 'smollm', ...change }),
      (error) => error instanceof LoquentError && error.code === 'tokenizer.unsupported' && message.test(error.message),
    )
  })
}

test('a token listed twice is an error', () => {
  const tokens = [...(byteLevel.metadata['tokenizer.ggml.tokens'] as string[])]
  tokens[400] = tokens[401]!
  assert.throws(() => open({ ...byteLevel.metadata, 'tokenizer.ggml.tokens': tokens }), /1 tokens .* occur twice/)
})
