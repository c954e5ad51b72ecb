// Runs an engine under random traffic for a long time, and watches its memory and its counts: a table for people, one
// JSON line last. Exits with 1 when memory grew, blocks leaked, or the counts do not add up.
//   node bench/soak.mjs [--minutes 30] [--clients 24] [--model PATH] [--threads N] [--seed N]
import { parseArgs } from 'node:util'
import { load } from '../dist/library/index.js'
import { randomOf } from './serving/random.mjs'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    clients: { type: 'string', default: '24' },
    model: { type: 'string' },
    threads: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
  },
})
const seconds = 60 * Number(values.minutes)
const clients = Number(values.clients)
/** Readings over the whole time, and how much more memory than after the first half is still flat. */
const readings = 60
const mostGrowth = 1.05

const words =
  'the a river mill child boat morning house hill cat reads book rain and or but comes goes sees old small'.split(' ')
const random = randomOf(Number(values.seed))
const below = (n) => Math.floor(random() * n)
const text = (n) => Array.from({ length: n }, () => words[below(words.length)]).join(' ')

const threads = Number(values.threads)
// A small cache, so that evictions and preemptions happen all the time.
const llm = await load(values.model, { threads, maxBatchTotalTokens: 1536, maxTotalTokens: 512, maxBatchSize: 16 })
const over = performance.now() + 1000 * seconds
const told = { completed: 0, cancelled: 0, expired: 0, failed: 0 }

/** One request of a kind that is drawn: a new prompt, a chat that goes on, a choice of many, one that is cut short. */
async function request(chat) {
  const goesOn = chat.text !== '' && chat.text.length < 1200 && below(2) === 0
  const prompt = goesOn ? `${chat.text} ${text(4)}` : `${text(8)} ${text(below(120))}`
  const cancel = new AbortController()
  const options = {
    maxNewTokens: 1 + below(120),
    doSample: below(2) === 0,
    seed: below(1000),
    signal: cancel.signal,
    priority: below(5) - 2,
    salt: `tenant ${below(3)}`,
    ...(below(20) === 0 && { promptLogprobs: true }),
    ...(below(10) === 0 && { maxTimeMs: 1 + below(300) }),
  }
  const timer = below(4) === 0 ? setTimeout(() => cancel.abort(), below(100)) : undefined
  try {
    const generation = await llm.generate(prompt, options)
    told.completed++
    chat.text = prompt + generation.text
  } catch (error) {
    if (error.code === 'request.aborted') told.cancelled++
    else if (error.code === 'request.expired') told.expired++
    else {
      told.failed++
      console.error(error.message)
    }
  } finally {
    clearTimeout(timer)
  }
}

async function client() {
  const chat = { text: '' }
  while (performance.now() < over) {
    await request(chat)
    if (below(8) === 0) chat.text = ''
  }
}

const rss = []
async function watch() {
  console.log('  minute   RSS MiB   steps    completed  cancelled  preempted  reused   held  waiting')
  for (let i = 0; i < readings; i++) {
    await new Promise((resolve) => setTimeout(resolve, (1000 * seconds) / readings))
    rss.push(process.memoryUsage.rss() / 2 ** 20)
    if (i % 6 !== 5) continue
    const { steps, preemptions, prefix, blocks, waiting } = await llm.stats()
    const minute = ((i + 1) / readings) * (seconds / 60)
    const row = [minute.toFixed(1), rss.at(-1).toFixed(0), steps, told.completed, told.cancelled, preemptions]
    const share = `${((100 * prefix.reused) / prefix.tokens).toFixed(0)} %`
    console.log([...row, share, blocks.held, waiting].map((x) => String(x).padStart(9)).join(' '))
  }
}

await Promise.all([watch(), ...Array.from({ length: clients }, client)])
while ((await llm.stats()).running > 0) await new Promise((resolve) => setTimeout(resolve, 10))
const { requests, blocks, preemptions, prefix, cancels, steps } = await llm.stats()
await llm.close()
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
const half = readings / 2
const growth = median(rss.slice(-readings / 4)) / median(rss.slice(half, half + readings / 4))
const { submitted, finished, aborted, failed } = requests
const checks = {
  flat: growth < mostGrowth,
  free: blocks.held === 0,
  counted: submitted === finished + aborted + failed,
  served: told.completed > 0 && told.failed === 0,
}
console.log(`\n  memory of the last quarter / of the one before: ${growth.toFixed(3)}   ${JSON.stringify(checks)}`)
const facts = { seconds, clients, steps, preemptions, reused: prefix.reused / prefix.tokens, cancels, growth }
console.log(JSON.stringify({ bench: 'soak', ...facts, rss: rss.map(Math.round), requests, ...checks }))
process.exitCode = Object.values(checks).every(Boolean) ? 0 : 1
