import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LoquentError } from '../base/errors.ts'
import type { ToEngine, ToHost } from './message.ts'
import { type Link, MessageHost } from './message-host.ts'
import type { EngineFacts, EngineStats, TokenEvents } from './spec.ts'
import { specOf } from './testing/simulation.ts'

const facts: EngineFacts = {
  architecture: 'x',
  vocabulary: 50,
  maxTotalTokens: 64,
  maxTopTokens: 4,
  blockTokens: 16,
  backend: 'reference',
  dtype: 'float32',
  eosIds: [],
}

/** A host whose other side is this test: it sees what is sent, and answers. */
function hostHere() {
  const sent: ToEngine[] = []
  let busy = false
  const link: Link = { send: (m) => sent.push(m), hold: (b) => (busy = b), ended: Promise.resolve() }
  const host = new MessageHost(facts, link)
  const answer = (...events: (ToHost & { kind: 'events' })['events']) => host.receive({ kind: 'events', events })
  return { host, sent, answer, busy: () => busy }
}

const token = (id: number): TokenEvents => ({ tokens: [{ id, logprob: 0, top: [] }] })
const last = (id: number): TokenEvents => ({
  ...token(id),
  finish: { reason: 'length', timings: { queue: 0, inference: 0 } },
})
const kinds = (sent: readonly ToEngine[]) => sent.map((m) => m.kind)

test('events of one message reach the requests they belong to, in order', async () => {
  const { host, sent, answer, busy } = hostHere()
  const [a, b] = [host.submit(specOf({})), host.submit(specOf({}))]
  const firsts = [a.next(), b.next()]
  await nextTurn()
  assert.deepEqual(kinds(sent), ['submit', 'submit'])
  assert.equal(busy(), true)
  answer({ id: 0, events: token(1) }, { id: 1, events: token(2) })
  answer({ id: 1, events: last(4) }, { id: 0, events: last(3) })
  assert.equal(busy(), false, 'nobody waits for the engine any more')
  const seen = await Promise.all(firsts)
  assert.deepEqual(
    seen.map((r) => r.value?.tokens[0].id),
    [1, 2],
  )
  assert.deepEqual((await a.next()).value?.tokens[0].id, 3)
  assert.deepEqual((await a.next()).done, true)
  assert.deepEqual((await b.next()).value?.tokens[0].id, 4)
  assert.deepEqual((await b.next()).done, true)
  assert.deepEqual(kinds(sent), ['submit', 'submit'], 'a finished request is not aborted')
})

test('nothing is sent for a request nobody reads, nor for one aborted before', async () => {
  const { host, sent } = hostHere()
  host.submit(specOf({}))
  await assert.rejects(host.submit(specOf({}), AbortSignal.abort()).next(), { code: 'request.aborted' })
  assert.deepEqual(sent, [])
})

test('an abort is sent at once, even while the reader is busy, and drops what was not read', async () => {
  const { host, sent, answer, busy } = hostHere()
  const controller = new AbortController()
  const request = host.submit(specOf({}), controller.signal)
  const first = request.next()
  answer({ id: 0, events: token(1) }, { id: 0, events: token(2) })
  await first
  controller.abort()
  assert.deepEqual(kinds(sent), ['submit', 'abort'])
  assert.equal(busy(), false)
  answer({ id: 0, events: token(3) })
  await assert.rejects(request.next(), { code: 'request.aborted' })
  assert.equal((await request.next()).done, true)
  assert.deepEqual(kinds(sent), ['submit', 'abort'], 'an abort is sent once')
})

test('a signal that outlives many requests keeps nothing of them', async () => {
  const { host, answer } = hostHere()
  const { signal } = new AbortController()
  const request = host.submit(specOf({}), signal)
  const first = request.next()
  assert.equal(getEventListeners(signal, 'abort').length, 1)
  answer({ id: 0, events: last(1) })
  await first
  await request.next()
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('leaving the loop aborts the request', async () => {
  const { host, sent, answer } = hostHere()
  setImmediate(() => answer({ id: 0, events: token(1) }))
  for await (const _ of host.submit(specOf({}))) break
  assert.deepEqual(kinds(sent), ['submit', 'abort'])
})

test('an error of the engine arrives as what it was, after the tokens before it', async () => {
  const { host, sent, answer } = hostHere()
  const request = host.submit(specOf({}))
  const first = request.next()
  answer({ id: 0, events: token(1) }, { id: 0, error: { code: 'engine.row_failed', facts: { reason: 'nan' } } })
  assert.equal((await first).value?.tokens[0].id, 1)
  await assert.rejects(request.next(), { code: 'engine.row_failed', message: 'generation failed: nan' })
  assert.deepEqual(kinds(sent), ['submit'])
})

test('statistics are answered by ticket', async () => {
  const { host, sent, busy } = hostHere()
  const asked = [host.stats(), host.stats()]
  const tickets = sent.map((m) => (m.kind === 'stats' ? m.ticket : -1))
  for (const ticket of tickets.reverse()) {
    host.receive({ kind: 'stats', ticket, stats: { steps: ticket } as EngineStats })
  }
  assert.deepEqual(
    (await Promise.all(asked)).map((s) => s.steps),
    tickets.reverse(),
  )
  assert.equal(busy(), false)
})

test('when the other side is gone everything fails, now and later', async () => {
  const { host } = hostHere()
  const pending = host.submit(specOf({})).next()
  const stats = host.stats()
  host.stop(new LoquentError('engine.stopped', { reason: 'it died' }))
  const gone = { code: 'engine.stopped', message: 'the engine has stopped: it died' }
  await assert.rejects(pending, gone)
  await assert.rejects(stats, gone)
  await assert.rejects(host.submit(specOf({})).next(), gone)
  await assert.rejects(host.stats(), gone)
})

test('closing fails what is pending, asks once, and is waited for whatever still comes in', async () => {
  const { host, sent, answer, busy } = hostHere()
  const pending = host.submit(specOf({})).next()
  const closed = Promise.all([host.close(), host.close()])
  answer({ id: 0, events: last(1) })
  host.receive({ kind: 'stats', ticket: 7, stats: {} as EngineStats })
  assert.equal(busy(), true)
  await assert.rejects(pending, { code: 'engine.stopped' })
  await closed
  assert.deepEqual(kinds(sent), ['submit', 'close'])
})
