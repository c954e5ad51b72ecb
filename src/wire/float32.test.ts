import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { float32Json, float64Text } from './float32.ts'

const printed: readonly (readonly [value: number | null, text: string])[] = [
  [-0.34, '-0.34'],
  [0.1, '0.1'],
  [0, '0.0'],
  [-0, '-0.0'],
  [1, '1.0'],
  [-12.5, '-12.5'],
  [16777216, '16777216.0'],
  [0.00001, '0.00001'],
  [1e-7, '1e-7'],
  [1.5e-10, '1.5e-10'],
  [1e15, '1000000000000000.0'],
  [1e16, '1e16'],
  [3.4028234663852886e38, '3.4028235e38'],
  [2 ** -149, '1e-45'],
  // Half-way between two shortest decimals: the even one.
  [343126.125, '343126.12'],
  [2 ** -12, '0.00024414062'],
  // Powers of two whose nearest short decimal belongs to the number below: the next one.
  [2 ** -24, '5.9604645e-8'],
  [2 ** 90, '1.2379401e27'],
  [Number.NaN, 'null'],
  [Number.NEGATIVE_INFINITY, 'null'],
  [1e39, 'null'],
  [null, 'null'],
]

test('float32 numbers are printed with the fewest digits', () => {
  for (const [value, text] of printed) assert.equal(float32Json(value), text)
})

test('every float32 reads back as itself, and one digit fewer would not', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = float32Json(value)
      assert.ok(Object.is(Math.fround(Number(text)), value), text)
      const digits = significant(text)
      if (digits > 1) assert.notEqual(Math.fround(Number(value.toPrecision(digits - 1))), value, text)
    }),
    { numRuns: 3000 },
  )
})

test('numbers of everyday size are printed as the nearest decimal of the fewest digits', () => {
  const nearest = (value: number): number => {
    const decimals = Array.from({ length: 9 }, (_, i) => Number(value.toPrecision(i + 1)))
    return decimals.find((decimal) => Math.fround(decimal) === value)!
  }
  const sizes = fc.tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.integer({ min: -6, max: 8 }))
  fc.assert(
    fc.property(sizes, ([share, power]) => {
      const value = Math.fround(share * 10 ** power)
      // Powers of two and ties have rules of their own, and rows above.
      fc.pre(value !== 0 && !Number.isInteger(Math.log2(Math.abs(value))) && !Number.isInteger(value * 2 ** 14))
      assert.equal(Number(float32Json(value)), nearest(value))
    }),
    { numRuns: 5000 },
  )
})

const significant = (text: string): number =>
  text.replace(/e.*/, '').replace(/\.0$/, '').replace('.', '').replace('-', '').replace(/^0+/, '').replace(/0+$/, '')
    .length

test('doubles are printed in the same notation', () => {
  assert.equal(float64Text(10), '10.0')
  assert.equal(float64Text(1e20), '1e20')
  assert.equal(float64Text(-0.5), '-0.5')
})
