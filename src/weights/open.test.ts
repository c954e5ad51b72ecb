import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type ErrorCode, LoquentError } from '../base/errors.ts'
import { openCheckpoint } from './open.ts'
import { safetensorsBytes } from './sample.ts'

const goldens = fileURLToPath(new URL('../../test/goldens/', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'loquent-open-'))
after(() => rmSync(root, { recursive: true }))

let folders = 0
/** A new directory with these files. */
function folder(files: Readonly<Record<string, string | Uint8Array>>): string {
  const path = join(root, String(folders++))
  mkdirSync(path)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content)
  return path
}

function refuses(path: string, code: ErrorCode, message: RegExp): void {
  assert.throws(
    () => openCheckpoint(path),
    (error) => {
      assert.ok(error instanceof LoquentError, String(error))
      assert.equal(error.code, code)
      assert.match(error.message, message)
      return true
    },
  )
}

const one = (name: string, dtype = 'F32') =>
  safetensorsBytes(
    { [name]: { dtype, shape: [1], data_offsets: [0, dtype === 'F8_E4M3' ? 1 : 4] } },
    dtype === 'F8_E4M3' ? 1 : 4,
  )
const index = (map: unknown) => JSON.stringify({ metadata: {}, weight_map: map })
const config = '{"model_type": "x"}'
const indexFile = 'model.safetensors.index.json'

test('a directory with one file', () => {
  const path = folder({
    'config.json': config,
    'generation_config.json': '{"top_k": 5}',
    'model.safetensors': one('a'),
  })
  const checkpoint = openCheckpoint(path)
  assert.deepEqual(checkpoint.config, { model_type: 'x' })
  assert.deepEqual(checkpoint.generationConfig, { top_k: 5 })
  assert.equal(checkpoint.gguf, undefined)
  const tensor = checkpoint.catalog.tensors.get('a')!
  assert.equal(tensor.file, join(path, 'model.safetensors'))
  assert.deepEqual([...tensor.bytes()], [0, 1, 2, 3])
  checkpoint.close()
  assert.throws(() => tensor.bytes(), /is closed/)
})

test('shards and their index, read or mapped', () => {
  const path = join(goldens, 'llama/sharded')
  const { weight_map: map } = JSON.parse(readFileSync(join(path, indexFile), 'utf8'))
  const read = openCheckpoint(path)
  const mapped = openCheckpoint(path, (file) => Uint8Array.from(readFileSync(file)).buffer)
  assert.deepEqual([...read.catalog.tensors.keys()].sort(), Object.keys(map).sort())
  for (const [name, tensor] of read.catalog.tensors) {
    assert.equal(tensor.file, join(path, map[name]))
    assert.deepEqual(tensor.bytes(), mapped.catalog.tensors.get(name)!.bytes())
  }
  read.close()
  mapped.close()
})

test('safetensors of any name, but not those of adapters; integers apart', () => {
  const path = folder({
    'config.json': config,
    'part-1.safetensors': one('a'),
    'part-2.safetensors': one('ids', 'I32'),
    'adapter_model.safetensors': one('a'),
    'consolidated.safetensors': one('b'),
  })
  const checkpoint = openCheckpoint(path)
  assert.deepEqual([...checkpoint.catalog.tensors.keys()], ['a'])
  assert.deepEqual(
    checkpoint.others.map(({ name, dtype }) => [name, dtype]),
    [['ids', 'I32']],
  )
  checkpoint.close()
})

test('a GGUF file, and a directory with one, have Hugging Face names and a configuration', () => {
  const file = join(goldens, 'gguf/llama.gguf')
  const path = folder({ 'README.md': '' })
  copyFileSync(file, join(path, 'any.gguf'))
  for (const given of [file, path]) {
    const checkpoint = openCheckpoint(given)
    assert.deepEqual(checkpoint.catalog.tensors.get('model.layers.0.mlp.up_proj.weight')!.shape, [96, 64])
    const read = checkpoint.config as Readonly<Record<string, unknown>>
    assert.equal(read['num_key_value_heads'], 2)
    assert.deepEqual(read['rope_scaling'], { rope_type: 'factors', factors: [1, 1, 1, 2.5, 4, 8, 8, 8] })
    assert.deepEqual(read['eos_token_id'], [2, 7])
    assert.equal(checkpoint.gguf!.get('sample.uint8'), 255)
    checkpoint.close()
  }
  copyFileSync(file, join(path, 'other.gguf'))
  refuses(path, 'model.not_found', /2 \.gguf files/)
})

test('no model, and why', () => {
  refuses(join(root, 'nowhere'), 'model.not_found', /no such file or directory/)
  refuses(folder({}), 'model.not_found', /looked for model\.safetensors, .*one \.gguf file$/)
  refuses(folder({ 'model.ckpt': '' }), 'model.not_found', /model\.ckpt is of a format that is not supported/)
  refuses(folder({ 'model.safetensors': one('a') }), 'model.not_found', /no config\.json/)
  refuses(join(folder({ 'model.safetensors': one('a') }), 'model.safetensors'), 'model.not_found', /give the directory/)
  refuses(folder({ 'config.json': '{', 'model.safetensors': one('a') }), 'model.config', /config\.json: /)
  const nested = folder({ 'config.json': config })
  mkdirSync(join(nested, 'model.safetensors'))
  refuses(nested, 'model.not_found', /no regular file/)
  refuses(folder({ 'config.json': config, 'model.safetensors': '' }), 'weights.malformed', /too short/)
})

test('shards that do not hold what the index says', () => {
  const shards = { 'config.json': config, 'one.safetensors': one('a'), 'two.safetensors': one('b') }
  const both = (map: unknown) => folder({ ...shards, [indexFile]: index(map) })
  refuses(
    both({ a: 'one.safetensors', b: 'three.safetensors' }),
    'weights.missing',
    /names three\.safetensors, which is not there/,
  )
  refuses(
    both({ a: 'two.safetensors', b: 'one.safetensors' }),
    'weights.missing',
    /no tensor a, which the index says is here/,
  )
  refuses(both({ a: '../one.safetensors' }), 'weights.malformed', /weight_map places a in no file/)
  refuses(both({ a: 1 }), 'weights.malformed', /weight_map places a in no file/)
  refuses(both({}), 'weights.malformed', /weight_map is empty/)
  refuses(both([]), 'weights.malformed', /weight_map is no object/)
  refuses(
    folder({ ...shards, 'two.safetensors': one('a') }),
    'weights.malformed',
    /also in .*one\.safetensors \(tensor a\)/,
  )
})

test('a float that cannot be computed with is refused', () => {
  refuses(
    folder({ 'config.json': config, 'model.safetensors': one('a', 'F8_E4M3') }),
    'weights.format',
    /tensor a is stored as F8_E4M3/,
  )
})
