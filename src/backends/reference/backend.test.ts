import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openBench } from '../conformance/bench.ts'
import { normalInput, runRows } from '../conformance/case.ts'
import { Random } from '../conformance/random.ts'
import { openReferenceBackend } from './backend.ts'

const TOKENS = 256
const WIDTH = 512

const openLinear = (wanted?: 'q8_0') =>
  openBench(openReferenceBackend(), new Random(1), {
    limits: { tokens: TOKENS },
    ...(wanted && { wanted }),
    build: (b) => {
      b.checkpoint.add('weight', 'f32', WIDTH, WIDTH)
      const x = normalInput(b, 'x', WIDTH)
      b.g.op('linear', 'y', { x, weight: b.g.weight('weight', WIDTH, WIDTH) }, { activation: 'none' })
    },
  })

test('a long step lets the event loop turn', async () => {
  const bench = await openLinear()
  let turns = 0
  let running = true
  const turn = () => {
    turns++
    if (running) setImmediate(turn)
  }
  setImmediate(turn)
  // Some 130 million products: more than any processor does in one turn of 20 ms in plain JavaScript.
  await runRows(bench, TOKENS)
  running = false
  assert.ok(turns >= 1, `${turns} turns`)
})

test('a storage format that it does not keep is refused, not ignored', async () => {
  await assert.rejects(openLinear('q8_0'), { code: 'backend.unavailable' })
})

test('an arena that is too small is refused when compiled', async () => {
  const { program } = await openLinear()
  const backend = openReferenceBackend()
  const arenas = {
    weights: backend.reserve('weights', program.arenas.weights - 64),
    activations: backend.reserve('activations', program.arenas.activations),
    cache: backend.reserve('cache', program.arenas.cache),
  }
  assert.throws(() => backend.compile(program, arenas), /weights arena is smaller/)
})
