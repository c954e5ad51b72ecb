import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRecord, recordOf, stringOf } from './record.ts'

test('only an object is a record', () => {
  for (const value of [null, undefined, [], [{}], 1, 'x', true]) {
    assert.equal(isRecord(value), false)
    assert.deepEqual(recordOf(value), {})
  }
  const record = { a: null }
  assert.equal(isRecord(record), true)
  assert.equal(recordOf(record), record)
})

test('only a text is one', () => {
  assert.deepEqual(['', 'x', 1, null, undefined, {}].map(stringOf), [
    '',
    'x',
    undefined,
    undefined,
    undefined,
    undefined,
  ])
})
