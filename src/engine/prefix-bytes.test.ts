import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { GenerateSpec } from './spec.ts'
import { backends } from './testing/backends.ts'
import { type Answer, withEngine } from './testing/listener.ts'
import { mixed, specOf } from './testing/simulation.ts'

const root = new URL('../../', import.meta.url)
const golden = (name: string) => fileURLToPath(new URL(`test/goldens/llama/${name}`, root))

/** Plain angles, and two kinds that change with the length of a prompt, at 24 and 32 tokens. */
const models = [golden('gqa'), golden('rope-dynamic'), golden('rope-longrope')]
const tiny = fileURLToPath(new URL('models/loquent-tiny', root))

const drawn = { ...specOf({}).sampling, sampling: true, seed: 11n, topK: 20, frequencyPenalty: 0.3 }

/** Turns of chats that share their beginning, each longer than the one before it by its answer and new words. */
async function converse(ask: (spec: GenerateSpec) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  for (const sampling of [specOf({}).sampling, drawn]) {
    let promptIds = mixed(1, 20)
    for (let turn = 0; turn < 3; turn++) {
      const answer = await ask(specOf({ promptIds, maxNewTokens: 16, sampling, topTokens: 2 }))
      answers.push(answer)
      promptIds = [...promptIds, ...answer.tokens.map((t) => t.id), ...mixed(turn, 3)]
    }
  }
  return answers
}

for (const backend of backends) {
  for (const model of backend === 'cpu' ? [...models, tiny] : models) {
    test(`${backend}: ${model.split('/').at(-1)} says the same with and without a prefix hit`, async () => {
      let id = 0
      let reused = 0
      const apart = await converse((spec) =>
        withEngine({ backend, model, threads: 1 }, async (engine, { ended }) => {
          engine.submit(0, spec)
          return (await ended([0]))[0]
        }),
      )
      const together = await withEngine({ backend, model, threads: 1 }, async (engine, { ended }) => {
        const answers = await converse(async (spec) => {
          engine.submit(++id, spec)
          return (await ended([id]))[0]
        })
        reused = engine.stats().prefix.reused
        return answers
      })
      assert.deepEqual(together, apart)
      assert(reused >= 32, `only ${reused} tokens were found`)
    })
  }
}
