import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { ErrorCode } from '../base/errors.ts'
import { maxWaiting } from './engine.ts'
import type { Life, LifeEvents } from './life.ts'
import type { ToEngine, ToHost } from './message.ts'
import { maxRestarts, Restarts, restartWindowMs } from './restarts.ts'
import type { EngineFacts } from './spec.ts'
import { type Kind, Supervisor, type Watcher } from './supervisor.ts'
import { specOf } from './testing/simulation.ts'
import { neverMs } from './watchdog.ts'

const facts = { vocabulary: 50, maxTotalTokens: 64 } as EngineFacts

const kindOf = (launch: Kind['launch']): Kind => ({ name: 'engine process', launch, patience: () => neverMs })

/** A supervisor of processes that are this test. */
function supervised() {
  const lives: { on: LifeEvents; sent: ToEngine[]; killed: boolean }[] = []
  const heard: ToHost[] = []
  const stopped: ErrorCode[] = []
  const notices: string[] = []
  const launch = (on: LifeEvents): Life => {
    const life = { on, sent: [] as ToEngine[], killed: false }
    lives.push(life)
    return { send: (m) => life.sent.push(m), hold: () => {}, kill: () => (life.killed = true) }
  }
  const watcher: Watcher = {
    progress: () => {},
    ready: () => {},
    failed: () => {},
    message: (message) => heard.push(message),
    stopped: (error) => stopped.push(error.code),
    notice: (text) => notices.push(text),
  }
  const supervisor = new Supervisor(kindOf(launch), watcher)
  const life = () => lives.at(-1)!
  const ready = (as = facts) => life().on.message({ kind: 'ready', facts: as })
  return { supervisor, lives, life, ready, heard, stopped, notices }
}

test('restarts are bounded, slower each time, and forgotten with time or when they are explained', () => {
  const restarts = new Restarts()
  const waits = Array.from({ length: maxRestarts + 1 }, () => restarts.next(0))
  assert.deepEqual(waits.slice(0, 4), [0, 50, 100, 200])
  assert.deepEqual(waits.slice(-2), [5000, undefined])
  assert.equal(restarts.next(restartWindowMs), 0)
  assert.equal(restarts.next(restartWindowMs), 50)
  restarts.forgive()
  assert.equal(restarts.next(restartWindowMs), 0)
  assert.equal(restarts.total, maxRestarts + 3)
})

test('an engine that dies again and again is given up, and everything ends', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { supervisor, lives, life, ready, stopped, notices } = supervised()
  ready()
  supervisor.send({ kind: 'submit', id: 0, spec: specOf({}) })
  life().on.ended('killed')
  t.mock.timers.tick(0)
  for (let i = 1; i <= maxRestarts; i++) {
    assert.deepEqual([lives.length, stopped], [i + 1, []])
    // It cannot even load: nobody is blamed for that.
    life().on.message({ kind: 'failed', error: { code: 'model.not_found', facts: { path: 'x', reason: 'gone' } } })
    assert.equal(life().killed, true)
    life().on.ended('killed by SIGKILL')
    t.mock.timers.tick(5000)
  }
  assert.deepEqual([lives.length, stopped], [maxRestarts + 1, ['engine.stopped']])
  assert.match(notices.at(-2)!, /died: no model at x: gone/)
  assert.match(notices.at(-1)!, /stopped for good: it died too often/)
})

test('a process that cannot be started counts as one that died', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let failing = false
  let on: LifeEvents | undefined
  const stopped = mock.fn()
  const launch = (events: LifeEvents): Life => {
    if (failing) throw new Error('spawn ENOMEM')
    on = events
    return { send: () => {}, hold: () => {}, kill: () => {} }
  }
  const none = () => {}
  const watcher = { progress: none, ready: none, failed: none, message: none, notice: none, stopped }
  const supervisor = new Supervisor(kindOf(launch), watcher)
  on!.message({ kind: 'ready', facts })
  failing = true
  on!.ended('killed')
  for (let i = 0; i < 30; i++) t.mock.timers.tick(5000)
  assert.equal(stopped.mock.callCount(), 1)
  await supervisor.ended
})

test('an engine that does not come back in time is killed, and started again', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { lives, life, ready } = supervised()
  ready()
  life().on.ended('killed')
  t.mock.timers.tick(0)
  assert.equal(lives.length, 2)
  t.mock.timers.tick(59_999)
  assert.equal(life().killed, false)
  t.mock.timers.tick(1)
  assert.equal(life().killed, true)
  life().on.ended('killed by SIGKILL')
  t.mock.timers.tick(100)
  assert.equal(lives.length, 3)
  ready()
  t.mock.timers.tick(600_000)
  assert.equal(life().killed, false, 'once it is there it stays')
})

test('an engine that comes back as another model is not taken', () => {
  const { life, ready, stopped } = supervised()
  ready()
  mock.timers.enable({ apis: ['setTimeout'] })
  life().on.ended('killed')
  mock.timers.tick(0)
  mock.timers.reset()
  ready({ ...facts, vocabulary: 51 })
  assert.deepEqual([stopped, life().killed], [['engine.stopped'], true])
})

test('no more requests are kept than an engine takes, so that none is refused after a crash', () => {
  const { supervisor, life, ready, heard } = supervised()
  ready()
  for (let id = 0; id <= maxWaiting; id++) supervisor.send({ kind: 'submit', id, spec: specOf({}) })
  assert.equal(life().sent.length, maxWaiting)
  assert.deepEqual(heard, [
    { kind: 'events', events: [{ id: maxWaiting, error: { code: 'engine.overloaded', facts: {} } }] },
  ])
})

test('an engine that does not close in time is killed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { supervisor, life, ready } = supervised()
  ready()
  supervisor.send({ kind: 'close' })
  assert.deepEqual([life().sent.at(-1)?.kind, life().killed], ['close', false])
  t.mock.timers.tick(10_000)
  assert.equal(life().killed, true)
  life().on.ended('killed by SIGKILL')
  await supervisor.ended
})

test('an engine that cannot even be killed is the end of everything, not of whoever waits for it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { supervisor, lives, life, ready, stopped, notices } = supervised()
  ready()
  life().on.ended('killed')
  t.mock.timers.tick(0)
  t.mock.timers.tick(60_000)
  assert.deepEqual([life().killed, stopped], [true, []])
  t.mock.timers.tick(30_000)
  assert.deepEqual([lives.length, stopped], [2, ['engine.stopped']])
  assert.match(notices.at(-1)!, /stopped for good: it hangs and cannot be ended/)
  await supervisor.ended
})
