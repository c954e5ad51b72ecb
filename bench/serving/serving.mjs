// Measures `loquent serve` over HTTP, with streaming and open-loop arrivals: a table for people, one JSON line last.
//   node bench/serving/serving.mjs --model FILE [--scenario NAME]... [--llama-server BINARY]
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { disconnects } from './disconnects.mjs'
import { longPrompt } from './long-prompt.mjs'
import { overload } from './overload.mjs'
import { randomOf } from './random.mjs'
import { secondTurn } from './second-turn.mjs'
import { streams } from './streams.mjs'

const scenarios = {
  streams,
  'long-prompt': longPrompt,
  'second-turn': secondTurn,
  overload,
  disconnects,
}

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    scenario: { type: 'string', multiple: true, default: Object.keys(scenarios) },
    threads: { type: 'string' },
    seed: { type: 'string', default: '1' },
    /** Of the streams. */
    rounds: { type: 'string', default: '3' },
    /** Of the overload. */
    seconds: { type: 'string', default: '120' },
    'llama-server': { type: 'string' },
    /** What llama.cpp's server gets instead of `--model`, where that is no file of its. */
    'llama-model': { type: 'string' },
    /** Its numbers of slots, each tried with each number of threads; the best counts. */
    'llama-parallel': { type: 'string', default: '8,16,32' },
    /** Its numbers of threads, unless `--threads` says one for all. */
    'llama-threads': { type: 'string', default: '1,2' },
    'llama-arg': { type: 'string', multiple: true, default: [] },
  },
})

/** `a.b 1.23`, a line each. */
function linesOf(facts, prefix = '') {
  return Object.entries(facts).flatMap(([key, value]) => {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return linesOf(value, `${prefix}${key}.`)
    if (Array.isArray(value) && typeof value[0] === 'object') return []
    const text = typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value)
    return [`  ${(prefix + key).padEnd(30)} ${text}`]
  })
}

function llamaOf() {
  const binary = values['llama-server']
  if (!binary) return undefined
  const [parallel, threadCounts] = ['llama-parallel', 'llama-threads'].map((name) =>
    values[name].split(',').map(Number),
  )
  return {
    binary,
    parallel,
    threadCounts,
    args: values['llama-arg'],
    ...(values['llama-model'] && { model: values['llama-model'] }),
  }
}

if (!values.model || !existsSync(values.model)) {
  console.error('usage: node bench/serving/serving.mjs --model <directory or .gguf file> [--scenario <name>]...')
  process.exit(2)
}
const facts = {}
for (const name of values.scenario) {
  const run = scenarios[name]
  if (!run) throw new Error(`no scenario ${name}; there are ${Object.keys(scenarios).join(', ')}`)
  console.log(`${name}:`)
  const seed = Number(values.seed)
  const say = (text) => console.log(`  (${text})`)
  const threads = values.threads && Number(values.threads)
  const lengths = { rounds: Number(values.rounds), seconds: Number(values.seconds) }
  const common = { model: values.model, threads, seed, ...lengths, llama: llamaOf() }
  facts[name] = await run({ ...common, random: randomOf(seed), say })
  console.log(linesOf(facts[name]).join('\n'))
}
console.log(JSON.stringify({ bench: 'serving', model: values.model, seed: Number(values.seed), ...facts }))
process.exit(0)
