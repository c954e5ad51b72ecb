import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Admission } from './admission.ts'

test('permits are given up to the most, all or none, and taken back once', () => {
  const admission = new Admission(3)
  const [one, two] = [admission.take(), admission.take(2)]
  assert.throws(() => admission.take(), { code: 'engine.overloaded' })
  two()
  two()
  assert.equal(admission.held, 1)
  assert.throws(() => admission.take(3), { code: 'engine.overloaded' })
  assert.equal(admission.held, 1)
  one()
  assert.equal(admission.held, 0)
})

test('a retry is worth it when the next permit is likely to be free', (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const admission = new Admission(4)
  assert.equal(admission.retryAfter, 1, 'nobody knows yet')
  const generate = (ms: number) => {
    const release = admission.take()
    now += ms
    release()
  }
  generate(8_000)
  assert.equal(admission.retryAfter, 8)
  for (let i = 0; i < 4; i++) admission.take()
  assert.equal(admission.retryAfter, 2, 'four of them end four times as often')
  const other = new Admission(1)
  const release = other.take()
  now += 1e9
  release()
  assert.equal(other.retryAfter, 60)
})
