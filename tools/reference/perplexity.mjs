// Perplexity of a model on perplexity.txt, for every dtype asked for: what rounding weights and activations costs.
//
//     node tools/reference/perplexity.mjs MODEL [DTYPE ...]        (float32 and auto by default)
//
// `float32` multiplies the dequantized weights by activations that are not rounded: the model that the file describes.
import { readFileSync } from 'node:fs'
import { load } from '../../dist/library/index.js'

const [model, ...asked] = process.argv.slice(2)
const text = readFileSync(new URL('perplexity.txt', import.meta.url), 'utf8')
const paragraphs = text.split('\n\n')

async function perplexity(dtype) {
  const llm = await load(model, { dtype, maxTotalTokens: 1024, maxBatchSize: 8 })
  let [sum, count] = [0, 0]
  for (let i = 0; i < paragraphs.length; i += 2) {
    const prompt = paragraphs.slice(i, i + 2).join('\n\n')
    const { prefill } = await llm.generate(prompt, { maxNewTokens: 1, promptLogprobs: true })
    for (const { logprob } of prefill) {
      if (logprob === null || logprob === undefined) continue
      sum += logprob
      count++
    }
  }
  const { dtype: stored, backend } = llm.info
  await llm.close()
  return { dtype, stored, backend, tokens: count, perplexity: Math.exp(-sum / count) }
}

const results = []
for (const dtype of asked.length ? asked : ['float32', 'auto']) results.push(await perplexity(dtype))
for (const r of results) {
  const change = (100 * (r.perplexity / results[0].perplexity - 1)).toFixed(3)
  console.log(
    `${r.dtype.padEnd(8)} kept as ${r.stored.padEnd(8)} ${r.tokens} tokens  ${r.perplexity.toFixed(4)}  ${change} %`,
  )
}
