import { deepStrictEqual as deepEqual } from 'node:assert'
import { assert } from '../../base/assert.ts'
import { LoquentError } from '../../base/errors.ts'
import type { Limits } from '../../ops/domain.ts'
import { createFrame, type Frame } from '../../ops/frame.ts'
import { fillFrame } from '../fill.ts'
import { type Pace, unbounded } from '../pace.ts'
import { redo } from '../redo.ts'
import { createScheduler, type Scheduler } from '../scheduler.ts'
import { mostComputed, Sequence } from '../sequence.ts'
import type { GenerateSpec } from '../spec.ts'
import type { Step } from '../step.ts'
import { FakeModel, poison } from './fake-model.ts'
import { mixed, type RunResult, randomOf, smallLimits, specOf, takeEvents } from './simulation.ts'

/*
 * Random requests in a random order on a machine much too small, with failures and cancellations, over a model with a
 * real memory. Every step is held to the laws; whoever calls compares each answer with the same request alone.
 */

/** Steps that one simulated run may take, and steps that the first in order may wait while others run. */
const mostSteps = 5000
const mostWaited = 500

type Random = (below: number) => number

export interface World {
  readonly limits: Limits
  readonly ropeThreshold: number
  readonly pace: Pace
}

export interface Run extends World {
  readonly specs: GenerateSpec[]
  readonly results: RunResult[]
  readonly aborted: Set<number>
  readonly preemptions: number
  readonly reused: number
  readonly redone: number
}

/** Each prompt token takes as long as one that is generated, and a step itself as long as one. */
const slowPace: Pace = {
  plain: (sequences) => 1 + sequences.length,
  allowance: (plain) => plain / 2,
  affordable: (_, units) => Math.max(0, Math.floor(units)),
  cost: (_, count) => count,
}

function tightWorld(random: Random): World {
  const blockSize = [1, 2, 4][random(3)]
  const limits = smallLimits({
    tokens: 1 + random(12),
    samples: 1 + random(8),
    sequences: 2 + random(6),
    blockSize,
    blocks: Math.ceil(((12 + random(24)) * (random(3) === 0 ? 4 : 1)) / blockSize),
  })
  const ropeThreshold = random(4) === 0 ? 8 : Number.POSITIVE_INFINITY
  return { limits, ropeThreshold, pace: random(2) === 0 ? unbounded : slowPace }
}

/** Prompts begin alike, repeat, or go on from what was answered before. */
function randomPrompt(seed: number, random: Random, run: Pick<Run, 'specs' | 'results'>): number[] {
  const own = mixed(seed, 1 + random(8))
  const earlier = random(run.specs.length + 1)
  const spec = run.specs[earlier]
  switch (spec ? random(5) : 4) {
    case 0:
      return [...spec.promptIds]
    case 1:
      return [...spec.promptIds.slice(0, 10), ...own]
    case 2:
      return [...spec.promptIds, ...(run.results[earlier]?.ids ?? []), ...own].slice(0, 24)
    default:
      return mixed(seed, 1 + random(14))
  }
}

function randomSpec(seed: number, random: Random, run: Pick<Run, 'specs' | 'results'>): GenerateSpec {
  const promptIds = randomPrompt(seed, random, run).map((id) => (id === poison ? 0 : id))
  if (random(12) === 0) promptIds[random(promptIds.length)] = poison
  return specOf({
    promptIds,
    maxNewTokens: 1 + random(24),
    eosIds: random(2) ? [] : [random(50), random(50)],
    topTokens: random(3),
    promptLogprobs: random(6) === 0,
    ...(random(3) === 0 ? { salt: 'tenant' } : {}),
    ...(random(4) === 0 ? { priority: random(5) - 2 } : {}),
  })
}

/** A machine: runs the steps of a scheduler, and looks after who may read which block. */
class Machine {
  readonly scheduler: Scheduler
  readonly results: RunResult[] = []
  redone = 0
  readonly #frame: Frame
  readonly #model: FakeModel
  readonly #owners: (string | undefined)[] = []

  constructor({ limits, ropeThreshold, pace }: World) {
    this.scheduler = createScheduler(limits, { ropeThreshold, pace })
    this.#frame = createFrame(limits)
    this.#model = new FakeModel(limits, ropeThreshold)
  }

  /** Runs one step, which may fail by accident; `during` happens while it runs. */
  async run(step: Step, accident = false, during = () => {}): Promise<void> {
    this.#checkOwners(step)
    const attempt = (part: Step, fails: boolean) => {
      fillFrame(this.#frame, part)
      during()
      this.#model.run(this.#frame, fails)
      takeEvents(this.results, this.scheduler.commit(part, this.#frame))
    }
    try {
      attempt(step, accident && step.slices.length > 1)
    } catch (error) {
      this.redone++
      await redo(step, error, {
        run: async (part) => attempt(part, false),
        failed: ({ sequence }, reason) => this.#fail(sequence, reason),
      })
    }
    this.scheduler.check()
  }

  #fail({ id }: Sequence, reason: unknown): void {
    assert(String(reason).includes('the step failed'), `the simulation itself failed: ${reason}`)
    if (!this.scheduler.abort(id)) return
    takeEvents(this.results, [{ id, error: { code: 'backend.failed', facts: { reason: 'the step failed' } } }])
  }

  #checkOwners({ slices }: Step): void {
    for (const { sequence, start, count } of slices) {
      const { blockSize } = this.#frame.limits
      const salt = sequence.spec.salt ?? ''
      for (const [i, block] of sequence.table.entries()) {
        if (i >= Math.floor(start / blockSize) && i * blockSize < start + count) this.#owners[block] = salt
        assert(this.#owners[block] === salt, `block ${block} of ${this.#owners[block]} is read by ${salt}`)
      }
    }
  }
}

/** What a request gives when nobody else is there, and memory is plenty. */
export async function runApart(spec: GenerateSpec, { limits, ...world }: World): Promise<RunResult> {
  const machine = new Machine({ limits: { ...limits, tokens: 64, samples: 64, blocks: 256 }, ...world })
  machine.scheduler.add(new Sequence(0, spec))
  for (let step = machine.scheduler.next(); step; step = machine.scheduler.next()) await machine.run(step)
  return machine.results[0]
}

/** What every step must hold to, whoever is in it. */
function checkStep({ slices, tokens, samples }: Step, limits: Limits): void {
  const sum = (of: (s: Step['slices'][number]) => number) => slices.reduce((a, s) => a + of(s), 0)
  assert(tokens === sum((s) => s.count) && tokens > 0 && tokens <= limits.tokens, 'tokens do not add up')
  assert(samples === sum((s) => s.samples) && samples <= limits.samples, 'samples do not add up')
  assert(slices.length <= limits.sequences, 'too many sequences')
  assert(new Set(slices.map((s) => s.sequence.row)).size === slices.length, 'two sequences share a history row')
  for (const { sequence, start, count } of slices) {
    assert(start === sequence.computed, 'a slice does not start where the last one ended')
    assert(sequence.table.length * limits.blockSize >= start + count, 'tokens without a block')
    assert(sequence.table.length <= Math.ceil((start + count) / limits.blockSize), 'blocks were taken ahead of need')
  }
}

/** One run; the same seed is the same run. */
export async function simulate(seed: number): Promise<Run> {
  const random = randomOf(seed)
  const world = tightWorld(random)
  const machine = new Machine(world)
  const { scheduler, results } = machine
  const sequences = new Map<number, Sequence>()
  const run = { specs: [] as GenerateSpec[], results, aborted: new Set<number>() }
  const blocksFor = (spec: GenerateSpec) => Math.ceil(mostComputed(spec) / world.limits.blockSize)
  const alive = () => [...sequences.values()].filter(({ id }) => !(results[id]?.finish || results[id]?.error))
  const arrive = () => {
    const spec = randomSpec(seed * 1000 + run.specs.length, random, run)
    const id = run.specs.push(spec) - 1
    const sequence = new Sequence(id, spec)
    try {
      scheduler.add(sequence)
      sequences.set(id, sequence)
    } catch (error) {
      const tooLong = blocksFor(spec) > world.limits.blocks
      assert(tooLong && error instanceof LoquentError && error.code === 'request.invalid', 'wrongly refused')
      run.aborted.add(id)
    }
  }
  const abort = () => {
    const all = alive()
    if (all.length === 0) return
    const { id } = all[random(all.length)]
    assert(scheduler.abort(id), 'an abort found nobody')
    sequences.delete(id)
    run.aborted.add(id)
    scheduler.check()
  }
  const total = 3 + random(20)
  let waited = 0
  for (let steps = 0; run.specs.length < total || alive().length > 0; steps++) {
    assert(steps < mostSteps, 'the simulation does not end')
    while (run.specs.length < total && random(3) === 0) arrive()
    if (random(20) === 0) abort()
    const first = alive().toSorted((a, b) => a.rank - b.rank || a.arrival - b.arrival)[0]
    if (!first) continue
    const step = scheduler.next()
    assert(step, 'nothing runs although somebody waits')
    checkStep(step, world.limits)
    // The first in order advances if it runs; it may have to wait for blocks or a seat, but not for ever.
    waited = step.slices.some((s) => s.sequence === first) ? 0 : waited + 1
    assert(first.row < 0 ? waited < mostWaited : waited === 0, `request ${first.id} is first and does not advance`)
    await machine.run(step, random(25) === 0, () => {
      if (random(20) === 0) abort()
    })
  }
  assert(scheduler.next() === null, 'the scheduler runs somebody who has ended')
  const { blocks, preemptions, prefix } = scheduler.stats()
  assert(blocks.held === 0, 'blocks are held for nobody')
  return { ...world, ...run, preemptions, reused: prefix.reused, redone: machine.redone }
}

/** What many runs came to, for those who want to know whether they tested anything. */
export interface Totals {
  preemptions: number
  reused: number
  redone: number
  ended: number
  failed: number
}

/** Runs the seeds from `from` up to `to`, and holds every answer against the same request alone. */
export async function simulateAll(from: number, to: number): Promise<Totals> {
  const totals = { preemptions: 0, reused: 0, redone: 0, ended: 0, failed: 0 }
  for (let seed = from; seed < to; seed++) {
    const run = await simulate(seed)
    totals.preemptions += run.preemptions
    totals.reused += run.reused
    totals.redone += run.redone
    for (const [id, spec] of run.specs.entries()) {
      if (run.aborted.has(id)) continue
      deepEqual(run.results[id], await runApart(spec, run), `seed ${seed}, request ${id}`)
      totals.ended++
      if (run.results[id].error) totals.failed++
    }
  }
  return totals
}
