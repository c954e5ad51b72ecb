import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { convertGgufTokenizer } from './gguf-tokenizer.ts'
import { loadText } from './load.ts'

const { metadata } = JSON.parse(
  readFileSync(new URL('../../test/goldens/tokenizers/byte-level.json', import.meta.url), 'utf8'),
) as { metadata: Readonly<Record<string, unknown>> }
const gguf = { get: (key: string) => metadata[key] }
const { json } = convertGgufTokenizer(gguf)

const made: string[] = []
after(() => {
  for (const directory of made) rmSync(directory, { recursive: true })
})

function directoryOf(files: Readonly<Record<string, unknown>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'loquent-text-'))
  made.push(directory)
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return directory
}

const messages = [{ role: 'user', content: 'Hi' }]

test('a directory with everything', async () => {
  const directory = directoryOf({
    'tokenizer.json': json,
    'tokenizer_config.json': {
      bos_token: { content: '<|im_start|>' },
      eos_token: '<|im_end|>',
      chat_template: '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}',
    },
    'generation_config.json': { eos_token_id: [2, 0] },
  })
  const model = await loadText({ directory })
  assert.equal(model.bosToken, '<|im_start|>')
  assert.equal(model.eosToken, '<|im_end|>')
  assert.deepEqual(model.eosIds, [2, 0])
  assert.equal(model.template?.render(messages), '<|im_start|>Hi<|im_end|>')
  const { ids } = await model.tokenizer.encode('The dogs <|im_end|>')
  assert.equal(model.decode(ids), 'The dogs <|im_end|>')
  assert.equal(model.decode(ids, { skipSpecial: true }), 'The dogs ')
  const detokenizer = model.detokenizer()
  assert.equal(ids.map((id) => detokenizer.push(id)).join(''), 'The dogs <|im_end|>')
})

test('a directory with the tokenizer alone', async () => {
  const model = await loadText({ directory: directoryOf({ 'tokenizer.json': json }) })
  assert.deepEqual([model.template, model.bosToken, model.eosToken], [undefined, undefined, undefined])
  assert.deepEqual(model.eosIds, [])
})

test('eos: a list of the generation config, else the tokenizer, else a single id of the generation config', async () => {
  const eosIds = async (config: unknown, generation: unknown) => {
    const files = { 'tokenizer.json': json, 'tokenizer_config.json': config, 'generation_config.json': generation }
    return (await loadText({ directory: directoryOf(files) })).eosIds
  }
  assert.deepEqual(await eosIds({ eos_token: '<|im_end|>' }, { eos_token_id: [0] }), [0])
  assert.deepEqual(await eosIds({ eos_token: '<|im_end|>' }, { eos_token_id: 0 }), [2])
  assert.deepEqual(await eosIds({}, { eos_token_id: 0 }), [0])
  assert.deepEqual(await eosIds({ eos_token: 'not a token' }, {}), [])
})

test('templates: the given file, then chat_template.jinja, chat_template.json, tokenizer_config.json', async () => {
  const files = {
    'tokenizer.json': json,
    'special_tokens_map.json': { bos_token: 'B' },
    'tokenizer_config.json': { chat_template: 'config' },
    'chat_template.json': { chat_template: 'json' },
    'chat_template.jinja': 'jinja {{ bos_token }}',
  }
  const rendered = async (names: readonly string[], tokenizerConfigPath?: string) => {
    const some = Object.entries(files).filter(([name]) => names.includes(name))
    const directory = directoryOf(Object.fromEntries(some))
    return (await loadText({ directory, tokenizerConfigPath })).template?.render(messages)
  }
  const all = Object.keys(files)
  assert.equal(await rendered(all), 'jinja B')
  assert.equal(await rendered(all.slice(0, 4)), 'json')
  assert.equal(await rendered(all.slice(0, 3)), 'config')
  const given = join(directoryOf({ 'my.json': { chat_template: 'given {{ bos_token }}', bos_token: 'G' } }), 'my.json')
  assert.equal(await rendered(all, given), 'given G')
})

test('a GGUF file, and a config in place of its template', async () => {
  const model = await loadText({ gguf })
  assert.deepEqual(model.eosIds, [2])
  assert.equal(model.template?.render(messages), '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n')
  const config = { chat_template: 'mine {{ eos_token }}', eos_token: '<|endoftext|>' }
  const tokenizerConfigPath = join(directoryOf({ 'c.json': config }), 'c.json')
  const changed = await loadText({ gguf, tokenizerConfigPath })
  assert.equal(changed.template?.render(messages), 'mine <|endoftext|>')
  assert.deepEqual(changed.eosIds, [0])
  assert.equal(changed.bosToken, '<|im_start|>')
})

test('what cannot be used is a typed error that names the file', async () => {
  const config = (chat_template: unknown) => ({ 'tokenizer.json': json, 'tokenizer_config.json': { chat_template } })
  const cases = [
    [{}, 'model.not_found', /no model at .*tokenizer\.json: no tokenizer.json/],
    [{ 'tokenizer.json': '{"model":' }, 'tokenizer.unsupported', /tokenizer\.json is not JSON/],
    [{ 'tokenizer.json': '{"model":{}}' }, 'tokenizer.unsupported', /tokenizer\.json: /],
    [
      { 'tokenizer.json': json, 'tokenizer_config.json': 'x' },
      'tokenizer.unsupported',
      /tokenizer_config\.json is not JSON/,
    ],
    [config([{ name: 1 }]), 'tokenizer.unsupported', /chat_template is neither/],
    [config('{% if x %}'), 'template.failed', /./],
  ] as const
  for (const [files, code, message] of cases) {
    await assert.rejects(loadText({ directory: directoryOf(files) }), { code, message })
  }
  await assert.rejects(loadText({ gguf, tokenizerConfigPath: '/no/such/file.json' }), { code: 'model.not_found' })
  await assert.rejects(loadText({}), { code: 'model.not_found' })
})
