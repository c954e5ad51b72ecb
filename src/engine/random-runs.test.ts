import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openBackend } from '../backends/select.ts'
import type { GenerateSpec } from './spec.ts'
import { backends, tinyModel } from './testing/backends.ts'
import { type Answer, withEngine } from './testing/listener.ts'
import { mixed, randomOf, specOf } from './testing/simulation.ts'

/*
 * The simulator's mixture on a real backend and real models: prompts that begin alike or go on from an answer, too
 * little memory, cancellations at any moment, and steps that fail after they have written.
 */

const embedded = fileURLToPath(new URL('../../models/loquent-tiny', import.meta.url))
const models = { tiny: tinyModel, embedded }
const requests = 40

type Random = (below: number) => number

/** A backend that fails one step in so many, halfway as it were: what it has written stays. */
const failing =
  (random: Random): typeof openBackend =>
  (options) => {
    const opened = openBackend(options)
    const whole = opened.backend.run.bind(opened.backend)
    const run: typeof whole = async (plan, frame) => {
      const stats = await whole(plan, frame)
      if (frame.counts[1] > 1 && random(15) === 0) throw new Error('the step failed')
      return stats
    }
    Object.assign(opened.backend, { run })
    return opened
  }

function randomSpecs(random: Random): GenerateSpec[] {
  const plain = specOf({}).sampling
  const base = mixed(99, 60)
  return Array.from({ length: requests }, (_, i) =>
    specOf({
      promptIds: [...base.slice(0, random(60)), ...mixed(i, 1 + random(10))],
      maxNewTokens: 1 + random(40),
      eosIds: [2],
      promptLogprobs: random(5) === 0,
      sampling: random(2) ? plain : { ...plain, sampling: true, seed: BigInt(i), topP: 0.9 },
      ...(random(4) === 0 ? { salt: 'tenant' } : {}),
      ...(random(4) === 0 ? { priority: random(7) - 3 } : {}),
    }),
  )
}

const missing = backends.includes('cpu') ? false : 'the native addon is not built here'

for (const [name, model] of Object.entries(models)) {
  test(`cpu: random runs of the ${name} model say what each request says alone`, { skip: missing }, async () => {
    const options = { model, backend: 'cpu', threads: 1 } as const
    const sum = { preemptions: 0, reused: 0 }
    for (const seed of [1, 2, 3]) {
      const random = randomOf(seed)
      const specs = randomSpecs(random)
      const gone = new Set<number>()
      const tight = { ...options, maxTotalTokens: 112, maxBatchTotalTokens: 144, maxBatchPrefillTokens: 24 }
      const together = await withEngine(
        tight,
        async (engine, { answers, ended }) => {
          for (const [id, spec] of specs.entries()) {
            engine.submit(id, spec)
            for (let turns = random(4); turns > 0; turns--) await new Promise(setImmediate)
            const one = random(id + 1)
            const over = answers.get(one)?.reason !== undefined
            if (random(5) === 0 && !over) gone.add(one)
            if (gone.has(one)) engine.abort(one)
          }
          await ended(specs.flatMap((_, id) => (gone.has(id) ? [] : [id])))
          const { blocks, preemptions, prefix, requests: counts } = engine.stats()
          assert.equal(blocks.held, 0)
          sum.preemptions += preemptions
          sum.reused += prefix.reused
          assert.equal(counts.finished + counts.aborted, requests)
          return answers
        },
        failing(random),
      )
      const alone = new Map<number, Answer>()
      await withEngine(options, async (engine, { answers, ended }) => {
        for (const [id, spec] of specs.entries()) {
          engine.submit(id, { ...spec, salt: `${id}` })
          await ended([id])
          alone.set(id, answers.get(id)!)
        }
        assert.equal(engine.stats().prefix.reused, 0)
      })
      for (const id of specs.keys()) {
        if (!gone.has(id)) assert.deepEqual(together.get(id), alone.get(id), `seed ${seed}, request ${id}`)
      }
    }
    assert(sum.preemptions > 0 && sum.reused > 0, JSON.stringify(sum))
  })
}
