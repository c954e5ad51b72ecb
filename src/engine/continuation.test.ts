import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadEngine } from './load.ts'
import type { GenerateSpec, TokenEvents } from './spec.ts'
import { backends, tinyModel } from './testing/backends.ts'
import { mixed, specOf } from './testing/simulation.ts'

/** Runs one request on an engine of its own. */
async function run(backend: (typeof backends)[number], spec: GenerateSpec): Promise<TokenEvents[]> {
  const all: TokenEvents[] = []
  let [resolve, reject] = [() => {}, (_: Error) => {}]
  const ended = new Promise<void>((...settle) => ([resolve, reject] = settle))
  const engine = await loadEngine(
    { model: tinyModel, backend, ropeScaling: { type: 'dynamic', factor: 2 } },
    ([event]) => {
      if ('error' in event) return reject(new Error(event.error.code))
      all.push(event.events)
      if (event.events.finish) resolve()
    },
    () => {},
  )
  engine.submit(0, spec)
  try {
    await ended
  } finally {
    await engine.close()
  }
  return all
}

const drawn = { ...specOf({}).sampling, sampling: true, seed: 77n, repetitionPenalty: 1.3, frequencyPenalty: 0.5 }
const requests = {
  greedy: specOf({ promptIds: mixed(3, 20), maxNewTokens: 24, topTokens: 2 }),
  drawn: specOf({ promptIds: mixed(4, 20), maxNewTokens: 24, sampling: drawn }),
}

for (const backend of backends) {
  for (const [name, spec] of Object.entries(requests)) {
    test(`${backend}: a ${name} request goes on after tokens generated before as if nothing had been`, async () => {
      const whole = (await run(backend, spec)).flatMap((e) => e.tokens)
      for (const done of [1, 9, 23]) {
        const generatedIds = whole.slice(0, done).map((t) => t.id)
        const rest = await run(backend, { ...spec, generatedIds, promptLogprobs: true })
        assert.deepEqual(
          rest.flatMap((e) => e.tokens),
          whole.slice(done),
        )
        assert.equal(rest[0].promptLogprobs, undefined, 'the prompt was scored with the first token')
        assert.equal(rest.at(-1)?.finish?.reason, 'length')
      }
    })
  }
}

test('tokens generated before are checked as prompts are, and leave room for one more', async () => {
  const { greedy } = requests
  await assert.rejects(run(backends[0], { ...greedy, generatedIds: [131] }), /request.invalid/)
  await assert.rejects(run(backends[0], { ...greedy, generatedIds: mixed(1, 24) }), /request.invalid/)
})
