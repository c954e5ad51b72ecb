import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ops } from '../../ops/table.ts'
import type { FormatName } from '../../tensor/format.ts'
import type { Backend } from '../contract.ts'
import { verifying } from '../verify.ts'
import { attentionCase } from './attention-case.ts'
import type { Case } from './case.ts'
import { convertedCases, matrixCases } from './matrix-cases.ts'
import { Random } from './random.ts'
import { rowCases } from './row-cases.ts'
import { sameBytes } from './same-bytes.ts'
import { samplingCase } from './sampling-case.ts'

export interface ConformanceOptions {
  /** Random trials of every case. */
  readonly trials?: number
  /** Whether the backend can store a weight in another format than its own choice. */
  readonly converts?: boolean
  /** Storage formats of the weights in the same-bytes part. */
  readonly formats?: readonly FormatName[]
}

/** Longer than what one thread does alone of a row's keys. */
const longLengths = [530, 3, 260]

const cases: readonly Case[] = [...rowCases, ...matrixCases, attentionCase, samplingCase]

/** One seed instead of all, to run again what failed. */
const chosenSeed = process.env['CONFORMANCE_SEED']

const seedsOf = (trials: number): number[] =>
  chosenSeed ? [Number(chosenSeed)] : Array.from({ length: trials }, (_, i) => i + 1)

async function runTrials(c: Case, backend: Backend, trials: number): Promise<void> {
  for (const seed of seedsOf(trials)) {
    try {
      await c.run(backend, new Random(seed))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`${c.name}: ${reason} (run again with CONFORMANCE_SEED=${seed})`, { cause: error })
    }
  }
}

async function withBackend<T>(open: () => Backend, use: (backend: Backend) => Promise<T>): Promise<T> {
  const backend = open()
  try {
    return await use(backend)
  } finally {
    backend.close()
  }
}

/**
 * The suite every backend must pass: each op of the table against the reference on the backend's own inputs, over random
 * shapes, formats and batches; and the same bytes whoever shares the batch and however a prompt is cut.
 */
export function conformance(name: string, open: () => Backend, options: ConformanceOptions = {}): void {
  const { trials = 10, converts = false, formats = ['f32', 'bf16', 'q8_0'] } = options
  describe(`conformance of ${name}`, () => {
    test('every op has a case', () => {
      const covered = new Set(cases.flatMap((c) => c.ops))
      assert.deepEqual(
        Object.keys(ops).filter((op) => !covered.has(op as keyof typeof ops)),
        [],
      )
    })
    for (const c of converts ? [...cases, ...convertedCases] : cases) {
      test(c.name, () => withBackend(open, (b) => runTrials(c, verifying(b), trials)))
    }
    for (const format of formats) {
      const seed = Number(chosenSeed ?? 1)
      test(`the same bytes in any batch and any chunks, ${format}`, () =>
        withBackend(open, async (b) => void (await sameBytes(b, seed, format))))
    }
    for (const kv of ['f32', 'bf16', 'int8'] as const) {
      const seed = Number(chosenSeed ?? 1)
      test(`the same bytes in long contexts, keys and values in ${kv}`, () =>
        withBackend(open, async (b) => void (await sameBytes(b, seed, 'f32', { kv, lengths: longLengths }))))
    }
  })
}
