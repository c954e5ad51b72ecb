import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FormatName } from '../tensor/format.ts'
import type { Catalog, StoredTensor } from '../weights/catalog.ts'
import { chooseKv } from './kv.ts'

const catalogOf = (...formats: FormatName[]): Catalog =>
  ({
    tensors: new Map(
      formats.map((format, i) => [`t${i}`, { format, shape: [64 * 4 ** i, 32] } as unknown as StoredTensor]),
    ),
  }) as unknown as Catalog

test('keys and values are float32 beside float32 weights, asked for or stored, and bfloat16 otherwise', () => {
  assert.equal(chooseKv(undefined, undefined, catalogOf('f32')), 'f32')
  assert.equal(chooseKv('auto', undefined, catalogOf('f32', 'bf16')), 'bf16')
  assert.equal(chooseKv('auto', undefined, catalogOf('q8_0')), 'bf16')
  assert.equal(chooseKv('auto', 'f32', catalogOf('bf16')), 'f32')
  assert.equal(chooseKv('auto', 'bf16', catalogOf('f32')), 'bf16')
})

test('what is asked for is taken, and must be known', () => {
  assert.equal(chooseKv('int8', 'f32', catalogOf('f32')), 'int8')
  assert.equal(chooseKv('float32', undefined, catalogOf('bf16')), 'f32')
  assert.throws(() => chooseKv('float8' as never, undefined, catalogOf('f32')), { code: 'option.invalid' })
})
