import assert from 'node:assert/strict'
import type { FormatName } from '../../tensor/format.ts'
import type { KvFormat } from '../../tensor/kv-format.ts'
import type { Backend } from '../contract.ts'
import { type Bench, openBench } from './bench.ts'
import { Random } from './random.ts'
import { alone, blocksFor, fillStep, makeWorld, mixed, type Schedule, type World } from './schedule.ts'
import { fillSamples, smallModel, VOCABULARY, WIDTH } from './small-model.ts'

const shortLengths = [70, 1, 33, 16, 9]

export interface SameBytesOptions {
  readonly kv?: KvFormat
  /** Lengths of the sequences; the longest comes first. */
  readonly lengths?: readonly number[]
}

/** What a token came to: its hidden state and logits bit by bit where they can be read, and what was sampled. */
type Outcome = readonly number[]

function outcomeOf({ frame, limits, row }: Bench, s: number, readable: boolean): Outcome {
  const bits = (values: Float32Array) => [...new Uint32Array(values.slice().buffer)]
  const top = s * limits.topTokens
  return [
    frame.chosen[s]!,
    frame.sampleStatus[s]!,
    ...bits(Float32Array.of(frame.chosenLogprobs[s]!)),
    ...frame.topIds.subarray(top, top + frame.topCounts[s]!),
    ...bits(Float32Array.from(frame.topLogprobs.subarray(top, top + frame.topCounts[s]!))),
    ...(readable ? [...bits(row('selected', s)), ...bits(row('head', s))] : []),
  ]
}

/** Computes the world by a schedule, from an empty cache; returns the outcomes by token id. */
async function outcomes(bench: Bench, world: World, schedule: Schedule, readable: boolean): Promise<Outcome[]> {
  const found: Outcome[] = []
  for (const step of schedule) {
    const rows = fillStep(bench.frame, bench.limits, world, step)
    fillSamples(bench, rows)
    await bench.run()
    rows.forEach(({ id }, s) => {
      found[id] = outcomeOf(bench, s, readable)
    })
  }
  return found
}

function assertSame(actual: readonly Outcome[], expected: readonly Outcome[], how: string, world: World): void {
  expected.forEach((outcome, id) => {
    const sequence = world.firstIds.findLastIndex((first) => first <= id)
    const where = `${how}: sequence ${sequence}, position ${id - world.firstIds[sequence]!}`
    assert.deepEqual(actual[id], outcome, `other bytes, ${where}`)
  })
}

/**
 * Runs the small model over the same tokens in many ways; every token must come out with the same bits.
 * Returns the outcomes, so that they can be compared across thread counts too.
 */
export async function sameBytes(
  backend: Backend,
  seed: number,
  format: FormatName,
  { kv = 'f32', lengths = shortLengths }: SameBytesOptions = {},
): Promise<readonly Outcome[]> {
  const total = lengths.reduce((a, b) => a + b, 0)
  const blocks = blocksFor(lengths, backend.traits.blockSize) + 3
  const limits = { tokens: total, samples: total, sequences: lengths.length, context: lengths[0]! + 10, blocks }
  const open = (reuse: boolean) =>
    openBench(backend, new Random(seed), {
      limits: { ...limits, vocabulary: VOCABULARY, topTokens: 4 },
      reuse,
      kv,
      build: (b) => smallModel(b, total, format),
    })
  const random = new Random(seed + 1)
  const apart = await open(false)
  const world = makeWorld(random, lengths, apart.limits)
  const expected = await outcomes(apart, world, alone(lengths, total), true)
  const schedules: [string, Schedule][] = [
    ...[1, 7, 64].map((size): [string, Schedule] => [`alone, in chunks of ${size}`, alone(lengths, size)]),
    ['all at once', [lengths.map((count, sequence) => ({ sequence, start: 0, count }))]],
    ['mixed steps', mixed(random, lengths, 40)],
    ['mixed steps, other blocks', mixed(random, lengths, total)],
  ]
  for (const [how, schedule] of schedules) {
    apart.poisonCache()
    const blocksOf = how.endsWith('blocks') ? makeWorld(random, lengths, apart.limits) : world
    assertSame(await outcomes(apart, blocksOf, schedule, true), expected, how, world)
  }
  const sampled = expected.map((o) => o.slice(0, -(WIDTH + VOCABULARY)))
  const shared = await open(true)
  assertSame(await outcomes(shared, world, mixed(random, lengths, 50), false), sampled, 'memory reused', world)
  return expected
}
