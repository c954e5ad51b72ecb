import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mostPriority, stepsPerPriority } from './order.ts'
import { createScheduler } from './scheduler.ts'
import { Sequence } from './sequence.ts'
import { runOne, smallLimits, specOf } from './testing/simulation.ts'

const limits = smallLimits({ sequences: 1 })
const short = (id: number, priority = 0) => new Sequence(id, specOf({ maxNewTokens: 1, priority }))

/** Runs steps until nobody is left, or `more` says so; gives the order in which requests ran. */
function order(first: readonly Sequence[], more: (step: number) => Sequence | undefined = () => undefined): number[] {
  const scheduler = createScheduler(limits)
  for (const sequence of first) scheduler.add(sequence)
  const ids: number[] = []
  for (let i = 0; scheduler.stats().waiting > 0; i++) {
    const [step, sampled] = runOne(scheduler, limits)
    ids.push(...step.slices.map((s) => s.sequence.id))
    scheduler.commit(step, sampled)
    const next = more(i)
    if (next) scheduler.add(next)
  }
  return ids
}

test('equal priorities run in order of arrival, greater ones first', () => {
  assert.deepEqual(order([short(1), short(2), short(3)]), [1, 2, 3])
  assert.deepEqual(order([short(1, -1), short(2), short(3, 2), short(4, 2)]), [3, 4, 2, 1])
})

test('a request of the least priority runs although one of the greatest comes with every step', () => {
  let came = 1
  const ids = order([short(0, -mostPriority), short(1, mostPriority)], (step) =>
    step < 4000 ? short(++came, mostPriority) : undefined,
  )
  const head = 2 * mostPriority * stepsPerPriority
  assert(ids.indexOf(0) <= head + 2 && ids.indexOf(0) >= head - 2, `it ran as number ${ids.indexOf(0)}`)
})
