import assert from 'node:assert/strict'
import { test } from 'node:test'
import { halfToNumber } from '../../tensor/half.ts'
import { roundTo, toBfloat16, toHalf } from './rounding.ts'

test('every half rounds to itself, and what lies between two to the nearer, ties to even', () => {
  for (let h = 0; h < 0x7c00; h++) {
    const here = halfToNumber(h)
    assert.equal(toHalf(here), here)
    assert.equal(toHalf(-here), -here)
    if (h === 0x7bff) continue
    const next = halfToNumber(h + 1)
    const middle = (here + next) / 2
    assert.equal(toHalf(middle), h % 2 === 0 ? here : next)
    assert.equal(toHalf(middle + (next - here) / 8), next)
    assert.equal(toHalf(middle - (next - here) / 8), here)
  }
  assert.equal(toHalf(65520), Number.POSITIVE_INFINITY)
})

test('bfloat16 rounds to nearest, ties to even', () => {
  const ulp = 2 ** -7
  assert.deepEqual([1, 1 + ulp / 2, 1 + ulp * 0.51, 1 + ulp * 1.5, -(1 + ulp * 1.5)].map(toBfloat16), [
    1,
    1,
    1 + ulp,
    1 + 2 * ulp,
    -1 - 2 * ulp,
  ])
})

test('q8_0 keeps what it can hold and is within half a step of the rest', () => {
  const held = Float32Array.from({ length: 32 }, (_, i) => (i === 5 ? 127 : i - 16) * 0.25)
  const again = held.slice()
  roundTo('q8_0', again)
  assert.deepEqual(again, held)
  const other = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i) * (i < 32 ? 1 : 100))
  const rounded = other.slice()
  roundTo('q8_0', rounded)
  const off = rounded.map((r, i) => Math.abs(r - other[i]!) / (i < 32 ? 1 : 100))
  assert.ok(Math.max(...off) <= 0.56 / 127, `${Math.max(...off) * 127} steps`)
})
