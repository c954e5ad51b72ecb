import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deserialize, serialize } from 'node:v8'
import type { RequestEvent } from './engine.ts'
import { packEvents, unpackEvents } from './event-pack.ts'

const token = (id: number) => ({ id, logprob: Math.fround(-id / 7), top: [] })
const plain = (id: number): RequestEvent => ({ id, events: { tokens: [token(id + 100)] } })
const finish = { reason: 'length', timings: { queue: 1, inference: 2 } } as const

test('whatever a step tells comes out as it went in, those that are only tokens first', () => {
  const others: readonly RequestEvent[] = [
    { id: 1, events: { tokens: [token(5)], finish } },
    { id: 2, events: { tokens: [token(6)], promptLogprobs: [null, -1] } },
    { id: 3, events: { tokens: [{ ...token(7), top: [{ id: 7, logprob: -1 }] }] } },
    { id: 4, events: { tokens: [] } },
    { id: 6, events: { tokens: [token(1), token(2)] } },
    { id: 5, error: { code: 'engine.row_failed', facts: { reason: 'nan' } } },
  ]
  const events = [others[0]!, plain(7), ...others.slice(1, 3), plain(2 ** 40), plain(5), ...others.slice(3)]
  const crossed = deserialize(serialize(packEvents(events)))
  assert.deepEqual(unpackEvents(crossed), [plain(7), plain(2 ** 40), plain(5), ...others])
  assert.equal(packEvents(events).plain.length, 9)
})

test('a step that tells nothing is nothing', () => {
  assert.deepEqual(unpackEvents(packEvents([])), [])
})
