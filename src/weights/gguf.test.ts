import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type ErrorCode, LoquentError } from '../base/errors.ts'
import { dequantize } from '../tensor/dequantize.ts'
import { mappedFile } from './file.ts'
import { openGguf, parseGguf } from './gguf.ts'
import { GgufWriter } from './sample.ts'

const golden = (name: string) => fileURLToPath(new URL(`../../test/goldens/gguf/${name}`, import.meta.url))
const parse = (bytes: Uint8Array) => parseGguf(mappedFile('m.gguf', Uint8Array.from(bytes).buffer))
const gguf = () => new GgufWriter()

function refuses(bytes: Uint8Array, message: RegExp, code: ErrorCode = 'weights.malformed'): void {
  assert.throws(
    () => parse(bytes),
    (error) => {
      assert.ok(error instanceof LoquentError, String(error))
      assert.equal(error.code, code)
      assert.match(error.message, message)
      return true
    },
  )
}

test('a file of the reference writer reads as the reference reader reads it', () => {
  const wanted = JSON.parse(readFileSync(golden('llama.json'), 'utf8'))
  const file = openGguf(golden('llama.gguf'))
  assert.deepEqual(Object.fromEntries(file.metadata), wanted.metadata)
  const found = file.tensors.map((tensor) => {
    const values = new Float32Array(tensor.shape.reduce((product, size) => product * size))
    dequantize(tensor.format, tensor.bytes(), values)
    const sha256 = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex')
    return { name: tensor.name, type: tensor.format, shape: tensor.shape, offset: tensor.offset, sha256 }
  })
  assert.deepEqual(found, wanted.tensors)
  file.close()
})

test('mapped or read, the bytes are the same', () => {
  const read = openGguf(golden('llama.gguf'))
  const mapped = openGguf(golden('llama.gguf'), (path) => Uint8Array.from(readFileSync(path)).buffer)
  for (const [i, tensor] of read.tensors.entries()) assert.deepEqual(tensor.bytes(), mapped.tensors[i]!.bytes())
  for (const file of [read, mapped]) {
    file.close()
    assert.throws(() => file.tensors[0]!.bytes(), /is closed/)
  }
})

test('version 2, nested arrays, wide integers and another alignment', () => {
  const bytes = gguf()
    .head(1, 3, 2)
    .string('general.alignment')
    .u32(4)
    .u32(8)
    .string('big')
    .u32(10)
    .u64(2n ** 64n - 1n)
    .string('nested')
    .u32(9)
    .u32(9)
    .u64(2)
    .u32(4)
    .u64(1)
    .u32(7)
    .u32(8)
    .u64(1)
    .string('x')
    .tensor('t', [2, 3], 0, 8)
    .bytes(32, 8)
  const { metadata, tensors } = parse(bytes)
  assert.equal(metadata.get('big'), 2n ** 64n - 1n)
  assert.deepEqual(metadata.get('nested'), [[7], ['x']])
  assert.deepEqual(tensors[0]!.shape, [3, 2])
  assert.deepEqual(
    [...tensors[0]!.bytes()],
    Array.from({ length: 24 }, (_, i) => i + 8),
  )
})

test('what is no GGUF of this kind', () => {
  refuses(new Uint8Array(0), /not a GGUF file at byte 0/)
  refuses(new Uint8Array(100), /not a GGUF file/)
  refuses(gguf().head(0, 0, 1).bytes(0), /version 1 is not supported at byte 4/)
  refuses(gguf().head(0, 0, 0x03000000).bytes(0), /big-endian/)
})

test('counts and lengths beyond limits or the file', () => {
  refuses(
    gguf()
      .head(2 ** 40, 0)
      .bytes(0),
    /number of tensors is 1099511627776, more than 262144 at byte 8/,
  )
  refuses(
    gguf()
      .head(0, 2 ** 40)
      .bytes(0),
    /number of key-value pairs/,
  )
  refuses(
    gguf()
      .head(0, 1)
      .u64(2n ** 64n - 1n)
      .bytes(0),
    /length of a key is 18446744073709551615/,
  )
  refuses(gguf().head(0, 1).u64(60000).bytes(0), /ends in the middle of a value/)
  const key = () => gguf().head(0, 1).string('k')
  refuses(
    key()
      .u32(8)
      .u64(2 ** 30)
      .bytes(0),
    /length of a string/,
  )
  refuses(
    key()
      .u32(9)
      .u32(0)
      .u64(2 ** 40)
      .bytes(0),
    /number of elements/,
  )
  refuses(
    key()
      .u32(9)
      .u32(12)
      .u64(2 ** 20)
      .bytes(100),
    /array of 1048576 elements ends past the end/,
  )
  refuses(key().u32(13).bytes(0), /unknown value type 13/)
  let deep = key().u32(9)
  for (let i = 0; i < 5; i++) deep = deep.u32(9).u64(1)
  refuses(deep.u32(0).u64(0).bytes(0), /nested deeper than 4/)
  refuses(gguf().head(0, 2).string('k').u32(4).u32(1).string('k').u32(4).u32(1).bytes(0), /key k appears twice/)
  refuses(key().u32(8).string(Uint8Array.of(0x61, 0xff)).bytes(0), /a string is not UTF-8/)
  assert.equal(parse(key().u32(8).string('\ufffd').bytes(0)).metadata.get('k'), '\ufffd')
})

test('tensors that cannot be right are refused by name', () => {
  const one = (shape: readonly (number | bigint)[], type = 0, offset: number | bigint = 0) =>
    gguf().head(1, 0).tensor('t', shape, type, offset).bytes(64)
  refuses(one([]), /0 dimensions \(tensor t\)/)
  refuses(one([1, 1, 1, 1, 1]), /5 dimensions/)
  refuses(one([2n ** 63n]), /a dimension is 9223372036854775808/)
  refuses(one([2 ** 32, 2 ** 32]), /too large \(tensor t\)/)
  refuses(one([33], 8), /no whole number of q8_0 blocks/)
  refuses(one([1], 0, 1), /no multiple of 32/)
  refuses(one([17]), /past the end of the file \(tensor t\)/)
  refuses(one([1], 0, 64), /past the end/)
  refuses(one([256], 23), /m\.gguf: tensor t is stored as IQ4_XS, which is not supported/, 'weights.format')
  refuses(one([256], 99), /stored as type 99/, 'weights.format')
  refuses(gguf().head(2, 0).tensor('t', [1], 0, 0).tensor('t', [1], 0, 32).bytes(64), /name appears twice \(tensor t\)/)
  refuses(gguf().head(2, 0).tensor('a', [9], 0, 0).tensor('b', [1], 0, 32).bytes(64), /overlaps .*\(tensor b\)/)
})
