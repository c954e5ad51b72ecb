import assert from 'node:assert/strict'
import { test } from 'node:test'
import { indexList } from './index-list.ts'

test('numbers and ranges', () => {
  assert.deepEqual(indexList('0'), [0])
  assert.deepEqual(indexList('0,2-3'), [0, 2, 3])
  assert.deepEqual(indexList('7-7,1'), [7, 1])
})

test('nothing but numbers and ranges', () => {
  for (const text of ['', 'a', '1,', '3-2', '-1', '1-', '0-99999999999', '1.5', '0\n'])
    assert.equal(indexList(text), undefined, text)
})
