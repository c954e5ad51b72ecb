import assert from 'node:assert/strict'
import test from 'node:test'
import { median, quantile } from './statistics.ts'

test('the median ignores order and how far off the ends are', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([4, 1, 1000, 2]), 3)
  assert.equal(median([7]), 7)
  assert.ok(Number.isNaN(median([])))
})

test('a quantile is one of the values', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i)
  assert.equal(quantile(values, 0.5), 50)
  assert.equal(quantile(values, 0.99), 99)
  assert.equal(quantile(values, 1), 100)
  assert.equal(quantile([3, 8], 0.99), 8)
  assert.equal(quantile([3, 8], 0), 3)
  assert.ok(Number.isNaN(quantile([], 0.5)))
})
