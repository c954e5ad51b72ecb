import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Limits } from '../ops/domain.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'
import { mostComputed, Sequence } from './sequence.ts'
import type { GenerateSpec } from './spec.ts'
import type { Step } from './step.ts'
import {
  mixed,
  type RunResult,
  randomOf,
  runAlone,
  runOne,
  smallLimits,
  specOf,
  takeEvents,
} from './testing/simulation.ts'

const seeds = 400
const ample = smallLimits({ blocks: 256 })

interface Run {
  readonly limits: Limits
  readonly specs: GenerateSpec[]
  readonly results: RunResult[]
  readonly aborted: Set<number>
  readonly preemptions: number
}

function tightLimits(random: (below: number) => number): Limits {
  const blockSize = [1, 2, 4][random(3)]
  return smallLimits({
    tokens: 1 + random(12),
    samples: 1 + random(8),
    sequences: 2 + random(6),
    blockSize,
    blocks: Math.ceil((12 + random(24)) / blockSize),
  })
}

function randomSpec(seed: number, random: (below: number) => number): GenerateSpec {
  return specOf({
    promptIds: mixed(seed, 1 + random(14)),
    maxNewTokens: 1 + random(24),
    eosIds: random(2) ? [] : [random(50), random(50)],
    topTokens: random(3),
    promptLogprobs: random(4) === 0,
  })
}

/** What every step must hold to, whoever is in it. */
function checkStep(step: Step, limits: Limits): void {
  const { slices } = step
  const sum = (of: (s: Step['slices'][number]) => number) => slices.reduce((a, s) => a + of(s), 0)
  assert(step.tokens === sum((s) => s.count) && step.tokens > 0 && step.tokens <= limits.tokens)
  assert(step.samples === sum((s) => s.samples) && step.samples <= limits.samples)
  assert(slices.length <= limits.sequences)
  const blocks = slices.flatMap((s) => s.sequence.table)
  assert.equal(new Set(blocks).size, blocks.length, 'two sequences hold one block')
  assert.equal(new Set(slices.map((s) => s.sequence.row)).size, slices.length, 'two sequences share a history row')
  for (const { sequence, start, count } of slices) {
    assert.equal(start, sequence.computed)
    assert(sequence.table.length * limits.blockSize >= start + count, 'tokens without a block')
    assert(sequence.table.length <= Math.ceil((start + count) / limits.blockSize), 'blocks were taken ahead of need')
  }
}

/** Never-starved: the oldest request alive must advance in every step. */
function checkOldest(step: Step, alive: ReadonlySet<number>): void {
  const oldest = Math.min(...alive)
  assert(
    step.slices.some((s) => s.sequence.id === oldest),
    `request ${oldest} is the oldest and did not advance`,
  )
}

function simulate(seed: number): Run {
  const random = randomOf(seed)
  const limits = tightLimits(random)
  const scheduler: Scheduler = createScheduler(limits)
  const run = { specs: [] as GenerateSpec[], results: [] as RunResult[], aborted: new Set<number>() }
  const alive = new Set<number>()
  const arrive = () => {
    const spec = randomSpec(seed * 1000 + run.specs.length, random)
    const fits = Math.ceil(mostComputed(spec) / limits.blockSize) <= limits.blocks
    const id = run.specs.push(spec) - 1
    if (fits) scheduler.add(new Sequence(id, spec))
    else assert.throws(() => scheduler.add(new Sequence(id, spec)), { code: 'request.invalid' })
    if (fits) alive.add(id)
    else run.aborted.add(id)
  }
  const abort = () => {
    const id = [...alive][random(alive.size)]
    assert.equal(scheduler.abort(id), true)
    alive.delete(id)
    run.aborted.add(id)
    scheduler.check()
  }
  const total = 3 + random(20)
  for (let steps = 0; run.specs.length < total || alive.size > 0; steps++) {
    assert(steps < 5000, 'the simulation does not end')
    while (run.specs.length < total && random(3) === 0) arrive()
    if (alive.size === 0) continue
    if (random(20) === 0) abort()
    if (alive.size === 0) continue
    const [step, sampled] = runOne(scheduler, limits)
    checkStep(step, limits)
    checkOldest(step, alive)
    // Cancelled while the step is running: its rows must be passed over.
    if (random(20) === 0) abort()
    const events = scheduler.commit(step, sampled)
    assert(events.every((e) => alive.has(e.id)))
    takeEvents(run.results, events)
    for (const e of events) if ('error' in e || e.finish) alive.delete(e.id)
    scheduler.check()
  }
  assert.equal(scheduler.next(), null)
  const { blocks, preemptions } = scheduler.stats()
  assert.equal(blocks.held, 0)
  return { limits, ...run, preemptions }
}

test(`${seeds} simulated runs conserve blocks, starve nobody, and give each request what it gets alone`, () => {
  let preemptions = 0
  let finished = 0

  for (let seed = 0; seed < seeds; seed++) {
    const run = simulate(seed)
    preemptions += run.preemptions
    for (const [id, spec] of run.specs.entries()) {
      if (run.aborted.has(id)) continue
      finished++
      assert.deepEqual(run.results[id], runAlone(spec, ample), `seed ${seed}, request ${id}`)
    }
  }
  assert(preemptions > seeds / 2, `only ${preemptions} preemptions: the arenas are not tight enough to test anything`)
  assert(finished > seeds)
})

test('the model of the simulation tells sequences apart', () => {
  const outputs = Array.from({ length: 50 }, (_, i) => runAlone(specOf({ promptIds: mixed(i, 6) }), ample).ids.join())
  assert(new Set(outputs).size > 45)
})
