// Many prompts at once share every step of the engine: node examples/batch.mjs [MODEL]
import { load } from 'loquent'

const llm = await load(process.argv[2])
const topics = [
  'Deep Learning',
  'a neural network',
  'gradient descent',
  'a tokenizer',
  'Node.js',
  'the Moon',
  'a rainbow',
  'tea',
]
const started = performance.now()
const answers = await Promise.all(
  topics.map((t) => llm.chat([{ role: 'user', content: `What is ${t}?` }], { maxNewTokens: 60 })),
)
answers.forEach(({ text }, i) => {
  console.log(`${topics[i]}: ${text}`)
})
const tokens = answers.reduce((sum, a) => sum + a.generatedTokens, 0)
console.log(`${tokens} tokens in ${((performance.now() - started) / 1000).toFixed(2)} s`)
await llm.close()
