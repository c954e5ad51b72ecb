import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ledger } from './ledger.ts'
import type { GeneratedToken, TokenEvents } from './spec.ts'
import { randomOf, specOf } from './testing/simulation.ts'

const spec = specOf({ promptIds: [1, 2], maxNewTokens: 9 })
const token = (id: number): GeneratedToken => ({ id, logprob: 0, top: [] })
const told = (id: number, ...ids: number[]) => ({ id, events: { tokens: ids.map(token) } })
const last = (id: number, timings = { queue: 1, inference: 1 }) => ({
  id,
  events: { tokens: [token(0)], finish: { reason: 'length', timings } } satisfies TokenEvents,
})
const idsOf = (due: readonly { readonly id: number }[]) => due.map(({ id }) => id)

function ledgerOf(count: number): Ledger {
  const ledger = new Ledger()
  for (let id = 0; id < count; id++) ledger.add(id, spec, 0)
  return ledger
}

test('a request is given once, and after a crash again with what it was told', () => {
  const ledger = ledgerOf(2)
  assert.deepEqual(ledger.due(0), [
    { id: 0, spec },
    { id: 1, spec },
  ])
  assert.deepEqual(ledger.due(0), [])
  ledger.record([told(1, 7), told(1, 8, 9)])
  assert.deepEqual(ledger.crash(), [])
  assert.equal(ledger.running, false)
  assert.deepEqual(ledger.due(0), [
    { id: 0, spec },
    { id: 1, spec: { ...spec, generatedIds: [7, 8, 9] } },
  ])
  assert.equal(ledger.tokens, 3)
})

test('what has ended is forgotten, whichever way it ended', () => {
  const ledger = ledgerOf(3)
  ledger.due(0)
  ledger.record([last(0), { id: 1, error: { code: 'engine.row_failed', facts: {} } }])
  assert.equal(ledger.remove(2), true)
  assert.equal(ledger.remove(2), false)
  assert.deepEqual([ledger.size, ledger.running], [0, false])
  ledger.add(3, spec, 0)
  assert.equal(ledger.remove(3), false, 'the engine never had it')
  ledger.record([told(0, 4)])
  assert.equal(ledger.tokens, 1, 'what is still told of it counts nowhere')
})

test('after two crashes the requests of both run first, in halves', () => {
  const ledger = ledgerOf(4)
  ledger.due(0)
  ledger.crash()
  assert.deepEqual(idsOf(ledger.due(0)), [0, 1, 2, 3])
  ledger.crash()
  ledger.add(4, spec, 0)
  assert.deepEqual(idsOf(ledger.due(0)), [0, 1])
  assert.deepEqual(ledger.due(0), [])
  ledger.record([last(0)])
  assert.deepEqual(ledger.due(0), [], 'the group has not ended')
  ledger.record([last(1)])
  assert.deepEqual(idsOf(ledger.due(0)), [2, 3])
  ledger.crash()
  assert.deepEqual(idsOf(ledger.due(0)), [2])
  assert.deepEqual(ledger.crash(), [])
  assert.deepEqual(idsOf(ledger.due(0)), [2])
  assert.deepEqual(ledger.crash(), [2])
  assert.deepEqual(idsOf(ledger.due(0)), [3])
  ledger.remove(3)
  assert.deepEqual(idsOf(ledger.due(0)), [4], 'with no suspect left everybody runs')
})

test('the times of a request count all its engines', () => {
  const ledger = new Ledger()
  for (const id of [0, 1, 2]) ledger.add(id, spec, 100)
  ledger.due(100)
  ledger.record([told(0, 5)])
  ledger.crash()
  ledger.add(3, spec, 160)
  ledger.due(160)
  const timings = ledger.record([last(0), last(1), last(3)]).map((e) => 'events' in e && e.events.finish?.timings)
  assert.deepEqual(timings, [
    { queue: 1, inference: 61 },
    { queue: 61, inference: 1 },
    { queue: 1, inference: 1 },
  ])
})

test('what is left of the time of a request goes on with it', () => {
  const ledger = new Ledger()
  for (const id of [0, 1]) ledger.add(id, { ...spec, maxTimeMs: 100 * (id + 1) }, 0)
  const left = (now: number) => ledger.due(now).map((due) => due.spec.maxTimeMs)
  assert.deepEqual(left(0), [100, 200])
  ledger.crash()
  assert.deepEqual(left(120), [1, 80])
})

test('whoever brings the engine down is found, nobody else is, and everybody ends', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 3 }), fc.nat(), (count, bad, seed) => {
      const random = randomOf(seed)
      const poison = new Set(Array.from({ length: bad }, () => random(count)))
      const ledger = ledgerOf(count)
      const inside = new Set<number>()
      const guilty: number[] = []
      let crashes = 0
      while (ledger.size > 0) {
        for (const { id } of ledger.due(0)) inside.add(id)
        const present = [...inside]
        assert(present.length > 0, 'somebody waits and nobody runs')
        const id = present[random(present.length)]!
        if (poison.has(id)) {
          guilty.push(...ledger.crash())
          inside.clear()
          crashes++
        } else {
          ledger.record([last(id)])
          inside.delete(id)
        }
      }
      assert.deepEqual(new Set(guilty), poison)
      assert(crashes <= 10 * poison.size, `${crashes} crashes`)
    }),
  )
})
