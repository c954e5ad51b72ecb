import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { LoquentError } from '../base/errors.ts'
import type { StoredTensor } from './catalog.ts'
import { mappedFile, type WeightFile } from './file.ts'
import { parseGguf } from './gguf.ts'
import { ggufConfig } from './gguf-config.ts'
import { parseSafetensors } from './safetensors.ts'
import { GgufWriter, safetensorsBytes } from './sample.ts'
import { storedBytes } from './stored.ts'
import { parseTorch } from './torch.ts'

/** One thing done to a file; `at` is a place as a part of its length, so that it fits files of any size. */
type Damage =
  | { readonly kind: 'byte'; readonly at: number; readonly to: number }
  | { readonly kind: 'length'; readonly at: number; readonly to: bigint }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'drop'; readonly at: number }

// A double, or a biased integer, would nearly always be the first byte.
const place = fc.noBias(fc.nat(2 ** 20 - 1)).map((n) => n / 2 ** 20)
const length = fc.constantFrom(
  0n,
  1n,
  0xffffn,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 40n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
)
// Letters and digits keep JSON whole more often than any byte does, and lead on to the checks behind the syntax.
const byte = fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('0123456789abcdefABCDEF')))
const damage: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('byte' as const), at: place, to: byte }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('length' as const), at: place, to: length }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), at: place }) },
)

/** Places fall in the first `head` bytes, where all that is parsed lies. */
function damaged(original: Uint8Array, head: number, damages: readonly Damage[]): Uint8Array {
  let bytes = Buffer.from(original)
  for (const d of damages) {
    const at = Math.floor(d.at * Math.min(head, bytes.length))
    if (d.kind === 'cut') bytes = bytes.subarray(0, at)
    else if (d.kind === 'drop') bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
    else if (d.kind === 'byte' && at < bytes.length) bytes[at] = d.to
    else if (d.kind === 'length' && at + 8 <= bytes.length) bytes.writeBigUInt64LE(d.to, at)
  }
  return bytes
}

/** A file that fails the test when it is asked for anything but what it has. */
function watchedFile(bytes: Uint8Array): WeightFile {
  const file = mappedFile('fuzzed', Uint8Array.from(bytes).buffer)
  return {
    ...file,
    bytes(offset, size) {
      assert.ok(offset >= 0 && size >= 0 && offset + size <= file.size, `${size} bytes at ${offset} of ${file.size}`)
      return file.bytes(offset, size)
    },
  }
}

/** Runs `read`; what it throws must be an error of ours. Returns whether it threw none. */
function survives(read: () => void): boolean {
  try {
    read()
    return true
  } catch (error) {
    if (error instanceof LoquentError) return false
    throw error
  }
}

function checkTensors(tensors: readonly StoredTensor[]): void {
  for (const { format, shape, bytes } of tensors) assert.equal(bytes().length, storedBytes(format, shape))
}

function fuzz(samples: readonly [bytes: Uint8Array, head: number][], read: (file: WeightFile) => void): void {
  const outcomes = { read: 0, refused: 0 }
  for (const [bytes] of samples)
    assert.ok(
      survives(() => read(watchedFile(bytes))),
      'the sample itself is good',
    )
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.array(damage, { minLength: 1, maxLength: 3 }),
      ([bytes, head], damages) => {
        const file = watchedFile(damaged(bytes, head, damages))
        outcomes[survives(() => read(file)) ? 'read' : 'refused']++
      },
    ),
    { numRuns: 1000, seed: 20240607 },
  )
  // Damage that is always fatal, or never, would say nothing about what survives it.

  assert.ok(outcomes.read > 20 && outcomes.refused > 200, JSON.stringify(outcomes))
}

const goldens = new URL('../../test/goldens/', import.meta.url)

test('a damaged safetensors file is refused, or read within its bounds', () => {
  const small = safetensorsBytes(
    {
      __metadata__: { format: 'pt' },
      a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
      b: { dtype: 'I64', shape: [1], data_offsets: [16, 24] },
      c: { dtype: 'BF16', shape: [3], data_offsets: [24, 30] },
    },
    30,
  )
  const real = readFileSync(new URL('llama/tied/model.safetensors', goldens))
  const head = (bytes: Uint8Array) => 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  fuzz(
    [small, real].map((bytes) => [bytes, head(bytes)]),
    (file) => {
      const { tensors, others } = parseSafetensors(file)
      checkTensors(tensors)
      for (const other of others) other.bytes()
    },
  )
})

test('a damaged GGUF file is refused, or read within its bounds', () => {
  const small = new GgufWriter()
    .head(2, 3)
    .string('general.architecture')
    .u32(8)
    .string('llama')
    .string('general.alignment')
    .u32(4)
    .u32(32)
    .string('list')
    .u32(9)
    .u32(8)
    .u64(2)
    .string('one')
    .string('two')
    .tensor('rope_freqs.weight', [8], 0, 0)
    .tensor('t', [64, 2], 8, 32)
    .bytes(256)
  const real = readFileSync(new URL('gguf/llama.gguf', goldens))
  const { tensors } = parseGguf(mappedFile('golden', Uint8Array.from(real).buffer))
  fuzz(
    [
      [small, small.length - 256],
      [real, Math.min(...tensors.map(({ offset }) => offset))],
    ],
    (file) => {
      const parsed = parseGguf(file)
      checkTensors(parsed.tensors)
      survives(() => ggufConfig(parsed.metadata, new Map(parsed.tensors.map((tensor) => [tensor.name, tensor]))))
    },
  )
})

test('a damaged PyTorch file is refused, or read within its bounds', () => {
  const samples = ['archive.bin', 'legacy.bin'].map((name) => readFileSync(new URL(`torch/${name}`, goldens)))
  fuzz(
    samples.map((bytes) => [bytes, bytes.length]),
    (file) => {
      const { tensors, others } = parseTorch(file)
      checkTensors(tensors)
      for (const other of others) other.bytes()
    },
  )
})
