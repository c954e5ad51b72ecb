import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, LoquentError } from '../base/errors.ts'
import { mappedFile } from './file.ts'
import { parseSafetensors } from './safetensors.ts'
import { type SampleEntry, safetensorsBytes } from './sample.ts'

const fileOf = (bytes: Uint8Array) => mappedFile('m.safetensors', Uint8Array.from(bytes).buffer)
const parse = (header: Readonly<Record<string, unknown>> | string, dataBytes: number) =>
  parseSafetensors(fileOf(safetensorsBytes(header, dataBytes)))

const entry = (dtype: string, shape: readonly number[], begin: number, end: number): SampleEntry => ({
  dtype,
  shape,
  data_offsets: [begin, end],
})

function refuses(run: () => unknown, message: RegExp, code: ErrorCode = 'weights.malformed'): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof LoquentError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  })
}

test('tensors are views of their bytes, integers stand apart', () => {
  const header = {
    __metadata__: { format: 'pt' },
    b: entry('BF16', [3], 24, 30),
    ids: entry('I64', [1], 16, 24),
    a: entry('F32', [2, 2], 0, 16),
    nothing: entry('F16', [0, 4], 30, 30),
  }
  const { tensors, others } = parse(header, 30)
  const start = safetensorsBytes(header, 0).length
  assert.deepEqual(
    tensors.map(({ name, format, shape, offset }) => ({ name, format, shape, offset: offset - start })),
    [
      { name: 'a', format: 'f32', shape: [2, 2], offset: 0 },
      { name: 'b', format: 'bf16', shape: [3], offset: 24 },
      { name: 'nothing', format: 'f16', shape: [0, 4], offset: 30 },
    ],
  )
  assert.deepEqual([...tensors[1]!.bytes()], [24, 25, 26, 27, 28, 29])
  assert.deepEqual(
    others.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    [{ name: 'ids', dtype: 'I64', shape: [1] }],
  )
  assert.deepEqual([...others[0]!.bytes()], [16, 17, 18, 19, 20, 21, 22, 23])
})

test('a type of any name is just not known', () => {
  const { tensors, others } = parse({ a: entry('constructor', [1], 0, 4) }, 4)
  assert.deepEqual([tensors.length, others[0]!.dtype], [0, 'constructor'])
})

test('a scalar has no dimensions; an empty model is no error', () => {
  assert.deepEqual(parse({ x: entry('F32', [], 0, 4) }, 4).tensors[0]!.shape, [])
  assert.deepEqual(parse({}, 0), { tensors: [], others: [] })
})

test('a header that cannot be right is refused with its place', () => {
  refuses(() => parseSafetensors(fileOf(new Uint8Array(7))), /m\.safetensors: too short.* at byte 0$/)
  const long = safetensorsBytes({}, 0)
  long[7] = 255
  refuses(() => parseSafetensors(fileOf(long)), /past the end of the file at byte 0$/)
  refuses(() => parse('{"a":', 0), /cannot be read: .* at byte 8$/)
  refuses(() => parse('[]', 0), /no JSON object/)
  refuses(() => parse('{"a":[[[[]]]]}', 0), /nested deeper than 3/)
  refuses(() => parse('{"\xff":1}', 0), /describes no tensor/)
  const a = JSON.stringify(entry('F32', [1], 0, 4))
  refuses(() => parse(`{"a":${a},"\\u0061":${a}}`, 4), /a name appears twice/)
  assert.equal(parse(`{"a\\\\\\"":${a}}`, 4).tensors[0]!.name, 'a\\"')
  refuses(() => parse({ ['n'.repeat(1025)]: entry('F32', [1], 0, 4) }, 4), /a name of 1025 characters at byte 8$/)
  const broken = safetensorsBytes('{"a":1}', 0)
  broken[10] = 0xff
  refuses(() => parseSafetensors(fileOf(broken)), /not UTF-8/)
})

test('an entry that cannot be right is refused by name', () => {
  const wrong: readonly [unknown, RegExp][] = [
    [{ shape: [1], data_offsets: [0, 4] }, /dtype is no short string \(tensor a\)/],
    [{ dtype: 'F'.repeat(33), shape: [1], data_offsets: [0, 4] }, /dtype is no short string/],
    [{ dtype: 'F32', shape: [-1], data_offsets: [0, 4] }, /shape is no list of sizes \(tensor a\)/],
    [{ dtype: 'F32', shape: [1.5], data_offsets: [0, 4] }, /shape is no list/],
    [{ dtype: 'F32', shape: [1], data_offsets: [0] }, /not two offsets/],
    [entry('F32', [1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 4), /more than 8 dimensions/],
    [entry('F32', [2], 0, 4), /4 bytes of data for F32 of shape \[2\] \(tensor a\) at byte \d+/],
    [entry('F32', [2 ** 30, 2 ** 30, 2 ** 30], 0, 4), /4 bytes of data/],
    [entry('F32', [1], 4, 0), /bytes of data/],
    [entry('?', [1], 4, 0), /hole/],
  ]
  for (const [value, message] of wrong) refuses(() => parse({ a: value }, 4), message)
})

test('the data is covered once and whole', () => {
  const a = entry('F32', [1], 0, 4)
  refuses(() => parse({ a, b: entry('F32', [1], 8, 12) }, 12), /leaves a hole \(tensor b\)/)
  refuses(() => parse({ a, b: entry('F32', [1], 2, 6) }, 6), /overlaps another tensor .*\(tensor b\)/)
  refuses(() => parse({ a, b: a }, 4), /overlaps another tensor/)
  refuses(() => parse({ a }, 3), /past the end of the file \(tensor a\)/)
  refuses(() => parse({ a }, 5), /1 bytes belong to no tensor/)
})
