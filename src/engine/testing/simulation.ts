import type { ErrorData } from '../../base/errors.ts'
import type { Limits } from '../../ops/domain.ts'
import { createFrame, type Frame } from '../../ops/frame.ts'
import { createScheduler, type Scheduler } from '../scheduler.ts'
import { Sequence } from '../sequence.ts'
import { type GeneratedToken, type GenerateSpec, greedy } from '../spec.ts'
import type { FinishReason, SequenceEvent, Step } from '../step.ts'

/*
 * For tests of the scheduler: a model whose next token is a hash of all ids before it, so that any mix-up of
 * sequences, positions or rows shows in the output.
 */

const vocabulary = 50

export const smallLimits = (change: Partial<Limits>): Limits => ({
  tokens: 16,
  sequences: 8,
  samples: 16,
  context: 64,
  blocks: 32,
  blockSize: 4,
  vocabulary,
  topTokens: 4,
  masks: 0,
  ...change,
})

export const specOf = (change: Partial<GenerateSpec>): GenerateSpec => ({
  promptIds: [1],
  maxNewTokens: 4,
  eosIds: [],
  sampling: greedy,
  topTokens: 0,
  promptLogprobs: false,
  ...change,
})

/** A small generator of numbers (xorshift, 32 bits) for seeded tests: integers in [0, below). */
export function randomOf(seed: number): (below: number) => number {
  let x = (Math.imul(seed + 1, 0x9e3779b1) | 1) >>> 0
  return (below) => {
    x ^= x << 13
    x ^= x >>> 17
    x = (x ^ (x << 5)) >>> 0
    return x % below
  }
}

/** `n` token ids of a seed. */
export function mixed(seed: number, n: number): number[] {
  const random = randomOf(seed)
  return Array.from({ length: n }, () => random(vocabulary))
}

/** The model is a hash over ids, one after another, from which the next one is drawn. */
export const startHash = 0x811c9dc5
export const followHash = (hash: number, id: number): number => Math.imul(hash ^ id, 0x01000193) >>> 0
export const tokenOf = (hash: number): number => hash % vocabulary

/** What comes after these ids. */
export const nextToken = (ids: readonly number[]): number => tokenOf(ids.reduce(followHash, startHash))

/** Runs a step of the model as a backend would: every sampled row chooses, or scores its target. */
export function sampleStep(step: Step, limits: Limits): Frame {
  const frame = createFrame({ ...limits, samples: Math.max(limits.samples, step.samples) })
  let row = 0
  for (const { sequence, start, count, samples } of step.slices) {
    for (let i = count - samples; i < count; i++, row++) {
      const length = start + i + 1
      const target = length < sequence.length ? sequence.ids[length] : -1
      const id = target < 0 ? nextToken(sequence.ids.slice(0, length)) : target
      frame.chosen[row] = id
      frame.chosenLogprobs[row] = -id - length / 64
      frame.topCounts[row] = target < 0 ? sequence.spec.topTokens : 0
      for (let k = 0; k < sequence.spec.topTokens; k++) frame.topIds[row * limits.topTokens + k] = id + k
    }
  }
  return frame
}

export function runOne(scheduler: Scheduler, limits: Limits): [Step, Frame] {
  const step = scheduler.next()
  if (!step) throw new Error('nothing to run')
  return [step, sampleStep(step, limits)]
}

/** All that one request was told. */
export interface RunResult {
  ids: number[]
  tokens: GeneratedToken[]
  promptLogprobs?: readonly (number | null)[]
  finish?: FinishReason
  error?: ErrorData
}

export function takeEvents(results: RunResult[], events: readonly SequenceEvent[]): void {
  for (const event of events) {
    results[event.id] ??= { ids: [], tokens: [] }
    const result = results[event.id]
    if (result.finish || result.error) throw new Error(`request ${event.id} was told something after its end`)
    if ('error' in event) {
      result.error = event.error
      continue
    }
    result.ids.push(...event.tokens.map((t) => t.id))
    result.tokens.push(...event.tokens)
    if (event.promptLogprobs) result.promptLogprobs = event.promptLogprobs
    if (event.finish) result.finish = event.finish
  }
}

/** What a request gives when nobody else is there. */
export function runAlone(spec: GenerateSpec, limits: Limits): RunResult {
  const scheduler = createScheduler(limits)
  const results: RunResult[] = []
  scheduler.add(new Sequence(0, spec))
  while (scheduler.stats().running + scheduler.stats().waiting > 0) {
    takeEvents(results, scheduler.commit(...runOne(scheduler, limits)))
  }
  scheduler.check()
  return results[0]
}
