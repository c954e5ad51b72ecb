import assert from 'node:assert/strict'
import { test } from 'node:test'
import { layouts, type Place, type Program, spaces } from '../../graph/program.ts'
import type { Limits } from '../../ops/domain.ts'
import { frameLayout } from '../../ops/frame.ts'
import { fieldNames, layoutNames, limitNames, programMagic, spaceNames, tableHash } from '../../ops/header.ts'
import { encodeProgram } from './encode.ts'
import { blockSize, cacheBlockBytes } from './storage.ts'

const limits: Limits = {
  tokens: 5,
  sequences: 2,
  samples: 3,
  context: 40,
  blocks: 7,
  blockSize,
  vocabulary: 33,
  topTokens: 2,
  masks: 1,
}
const place = (over: Partial<Place>): Place => ({
  space: 'activations',
  offset: 0,
  domain: 'tokens',
  rows: 0,
  width: 8,
  stride: 8,
  column: 0,
  format: 'f32',
  layout: 'rows',
  ...over,
})
const program: Program = {
  limits,
  weights: [],
  caches: [
    { kvHeads: 2, headDim: 8, format: 'f32' },
    { kvHeads: 1, headDim: 20, format: 'bf16' },
  ],
  arenas: { weights: 640, activations: 1280, cache: 100_000 },
  instructions: [
    {
      op: 'linear',
      name: 'y',
      places: {
        x: place({ offset: 128, column: 3, stride: 24 }),
        weight: place({ space: 'weights', offset: 192, domain: 'fixed', rows: 9, format: 'q8_0', layout: 'panels' }),
        out: place({ domain: 'samples', width: 9, stride: 9 }),
      },
      attributes: { activation: 'gelu_tanh' },
    },
    {
      op: 'embedding',
      name: 'x',
      places: {
        ids: place({ space: 'frame', field: 'tokenIds', width: 1, stride: 1 }),
        weight: place({ space: 'weights', domain: 'fixed', rows: 9, format: 'bf16' }),
        out: place({}),
      },
      attributes: {},
    },
  ],
}
const words = encodeProgram(program)
const fixed = 9 + limitNames.length + fieldNames.length

test('header: magic, hash, sizes in lines, limits, field offsets', () => {
  const { offsets, bytes } = frameLayout(limits)
  assert.deepEqual([...words.slice(0, 9)], [programMagic, tableHash(), words.length, 2, 2, 10, 20, 1563, bytes / 64])
  assert.deepEqual([...words.slice(9, 18)], [5, 2, 3, 40, 7, 16, 33, 2, 1])
  assert.deepEqual(
    [...words.slice(18, fixed)],
    Object.values(offsets).map((o) => o / 64),
  )
})

test('caches lie one after another, all blocks of a layer together', () => {
  const block = cacheBlockBytes(program.caches[0]!) / 64
  // Keys [8][16] and values [16][16] for two heads; keys [20][16] and values [16][32] for one.
  assert.equal(block, (2 * (8 + 16) * 16 * 4) / 64)
  // The second in halves of words: [10][16] and [16][16].
  assert.deepEqual([...words.slice(fixed, fixed + 10)], [0, block, 2, 8, 0, 7 * block, 10 + 16, 1, 20, 1])
})

test('instructions: operands and attributes in table order, an absent operand as zeros', () => {
  const [x, weight, bias, out] = [
    [2, 2, 1, 0, 8, 24, 3, 0],
    [1, 3, 0, 9, 8, 8, 0, 3 | (1 << 8)],
    [0, 0, 0, 0, 0, 0, 0, 0],
    [2, 0, 2, 0, 9, 9, 0, 0],
  ]
  const first = fixed + 10
  assert.deepEqual([...words.slice(first, first + 35)], [2, 33, ...x!, ...weight!, ...bias!, ...out!, 3])
})

test('a frame operand carries the offset of its field', () => {
  const ids = words.slice(fixed + 10 + 35 + 2, fixed + 10 + 35 + 4)
  assert.deepEqual([...ids], [spaces.frame, frameLayout(limits).offsets.tokenIds / 64])
})

test('float attributes travel as their bits', () => {
  const operands = { x: place({}), weight: place({ space: 'weights', domain: 'fixed', rows: 1 }), out: place({}) }
  const attributes = { epsilon: 1e-5, offset: -1, rounding: 'none' }
  const norm = { op: 'rmsNorm', name: 'n', places: operands, attributes } as const
  const encoded = encodeProgram({ ...program, instructions: [norm] })
  const floats = new Float32Array(encoded.buffer, encoded.byteOffset + 4 * (encoded.length - 3), 2)
  assert.deepEqual([...floats], [Math.fround(1e-5), -1])
})

test('what does not fit the format is refused', () => {
  const [linear] = program.instructions
  const broken = (i: object) => () => encodeProgram({ ...program, instructions: [{ ...linear!, ...i }] })
  assert.throws(broken({ attributes: { activation: 'tanh' } }), /cannot be tanh/)
  assert.throws(broken({ attributes: {} }), /no attribute activation/)
  assert.throws(broken({ places: { ...linear!.places, x: place({ offset: 100 }) } }), /not a multiple of 64/)
})

test('the header names spaces and layouts as the program does', () => {
  assert.deepEqual(Object.fromEntries(spaceNames.map((n, i) => [n, i])), spaces)
  assert.deepEqual(Object.fromEntries(layoutNames.map((n, i) => [n, i])), layouts)
})
