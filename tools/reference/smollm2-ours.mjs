// Our side of the SmolLM2 comparison: greedy continuations of the reference's prompts, all in one batch.
//
//     node tools/reference/smollm2-ours.mjs MODEL.gguf OUT.json [BACKEND] [REFERENCE.json]
//
// Ids go straight to the engine, so that tokenizing is not part of what is compared.
import { readFileSync, writeFileSync } from 'node:fs'
import { startWorkerHost } from '../../dist/engine/worker-host.js'

const [model, out, backend = 'cpu', reference = new URL('smollm2-golden.json', import.meta.url)] = process.argv.slice(2)
const { prompts } = JSON.parse(readFileSync(reference, 'utf8'))
const host = await startWorkerHost({ model, backend, dtype: 'float32', maxTotalTokens: 1024, maxBatchSize: 32 })
const greedy = { sampling: false, seed: 0n, temperature: 1, topK: 0, topP: 1, typicalP: 1 }
const neutral = { ...greedy, repetitionPenalty: 1, frequencyPenalty: 0 }

async function continuation({ ids, output }) {
  const spec = {
    promptIds: ids,
    maxNewTokens: output.length,
    eosIds: [],
    sampling: neutral,
    topTokens: 0,
    promptLogprobs: false,
  }
  const tokens = []
  for await (const event of host.submit(spec)) tokens.push(...event.tokens.map((t) => t.id))
  return { ids, output: tokens }
}

const started = performance.now()
const results = await Promise.all(prompts.map(continuation))
console.log(
  `${results.length} prompts in ${((performance.now() - started) / 1000).toFixed(1)} s on ${host.facts.backend}`,
)
writeFileSync(out, JSON.stringify({ prompts: results }))
await host.close()
