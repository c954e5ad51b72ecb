import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { decodeOf } from '#dist/cli/measure.js'
import { median } from '#dist/cli/statistics.js'
import { type LLM, load } from '#dist/library/index.js'
import { readOptions, threadCounts } from '../options.ts'
import { conditions } from '../roofline.ts'
import { printTable, short } from '../table.ts'
import { best, hopeful, type Tried } from './choose.ts'
import { type Setting, settingName } from './peer.ts'

/** Our library against that of node-llama-cpp, both in this process: text in, text out, a token at a time. */

/** As much of its API as is used here; it is installed elsewhere. */
interface Sequence {
  evaluate(ids: readonly number[], options: { temperature: 0; yieldEogToken: true }): AsyncIterable<number>
  dispose(): void
}
interface Context {
  getSequence(): Sequence
  dispose(): Promise<void>
}
interface Model {
  tokenize(text: string): readonly number[]
  detokenize(ids: readonly number[]): string
  createContext(options: {
    contextSize: number
    sequences: number
    threads: number
    batchSize: number
    flashAttention: boolean
  }): Promise<Context>
}
interface Llama {
  readonly buildType: string
  loadModel(options: { modelPath: string }): Promise<Model>
  dispose(): Promise<void>
}
interface Package {
  getLlama(options: { gpu: false; build: 'never'; maxThreads: number; logLevel: 'error' }): Promise<Llama>
}

/** `words` of a prompt that no other seed shares. */
interface Job {
  readonly name: string
  readonly streams: number
  readonly words: number
  readonly newTokens: number
}

const jobs: readonly Job[] = [
  { name: '1 stream, tokens a second', streams: 1, words: 20, newTokens: 48 },
  { name: '8 streams, tokens a second', streams: 8, words: 20, newTokens: 32 },
  { name: 'prompt of 400 words, ms to the first token', streams: 1, words: 400, newTokens: 1 },
]
const contextTokens = 1024
/** Milliseconds after which a run is given up. */
const patience = 20_000

const given = readOptions('node-llama-cpp', 'model', 'rounds', 'threads')
if (!given['node-llama-cpp'] || !given.model) {
  console.error('usage: node-llama-cpp --node-llama-cpp <folder of the installed package> --model <file.gguf>')
  console.error('  [--rounds 3] [--threads 1,2]')
  process.exit(2)
}
const folder = resolve(given['node-llama-cpp'])
const rounds = Number(given.rounds ?? 3)
const threads = threadCounts(given.threads)
const settings: readonly Setting[] = threads.flatMap((t) =>
  [true, false].map((flashAttention) => ({ threads: t, flashAttention })),
)

const vocabulary = 'river stone light morning paper garden window music winter little ocean bread silver road'.split(
  ' ',
)

function prompt(words: number, seed: number): string {
  let state = seed * 2654435761 + 1
  const drawn = Array.from({ length: words }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return vocabulary[(state >>> 16) % vocabulary.length]
  })
  return `A story about ${drawn.join(' ')}. Once upon a time`
}

/** Tokens a second, or milliseconds where only the first token counts. */
async function result(job: Job, stream: (text: string, arrived: () => void) => Promise<void>, seed: number) {
  const begin = performance.now()
  const times = await Promise.all(
    Array.from({ length: job.streams }, async (_, i) => {
      const own: number[] = []
      await stream(prompt(job.words, seed * job.streams + i), () => own.push(performance.now() - begin))
      return own
    }),
  )
  return job.newTokens === 1 ? times[0]![0]! : decodeOf(times).rate
}

const ours = (llm: LLM, job: Job, seed: number): Promise<number> =>
  result(
    job,
    async (text, arrived) => {
      for await (const _ of llm.stream(text, { maxNewTokens: job.newTokens })) arrived()
    },
    seed,
  )

/** A rate, see `asRate`; 0 when it took too long. */
async function theirs(model: Model, job: Job, seed: number, { threads: t, flashAttention }: Setting): Promise<number> {
  const sizes = { contextSize: contextTokens, sequences: job.streams, batchSize: 512 }
  const context = await model.createContext({ ...sizes, threads: t, flashAttention })
  const stream = async (text: string, arrived: () => void) => {
    const sequence = context.getSequence()
    let made = 0
    for await (const id of sequence.evaluate(model.tokenize(text), { temperature: 0, yieldEogToken: true })) {
      model.detokenize([id])
      arrived()
      if (++made >= job.newTokens || performance.now() - begin > patience) break
    }
    sequence.dispose()
  }
  const begin = performance.now()
  try {
    const value = await result(job, stream, seed)
    return performance.now() - begin > patience ? 0 : asRate(job, value)
  } finally {
    await context.dispose()
  }
}

/** Rates are to be high and times low: a time counts as its reciprocal until it is shown. */
const asRate = (job: Job, value: number): number => (job.newTokens === 1 ? 1000 / value : value)

async function compare(llm: LLM, model: Model, job: Job) {
  const own: number[] = []
  const tried: Tried<Setting>[] = settings.map((setting) => ({ setting, rates: [] }))
  for (let round = 0; round < rounds; round++) {
    own.push(asRate(job, await ours(llm, job, round + 1)))
    process.stderr.write(`${job.name}: ${short(own.at(-1)!)} `)
    const still = hopeful(tried)
    for (const [i, t] of tried.entries()) {
      if (!still.includes(t.setting)) continue
      tried[i] = { ...t, rates: [...t.rates, await theirs(model, job, round + 1, t.setting)] }
      process.stderr.write(`${short(tried[i]!.rates.at(-1)!)} `)
    }
  }
  const winner = best(tried)!
  const show = (rate: number) => short(asRate(job, rate))
  const rate = median(own)
  return {
    job: job.name,
    ours: show(rate),
    theirs: show(winner.rate),
    ratio: rate / winner.rate,
    setting: settingName(winner.setting),
  }
}

async function importPackage(): Promise<Package> {
  const { main, exports } = createRequire(import.meta.url)(join(folder, 'package.json'))
  const entry = exports?.['.']?.node?.import ?? exports?.['.']?.import ?? main
  return import(pathToFileURL(join(folder, typeof entry === 'string' ? entry : entry.default)).href)
}

const { getLlama } = await importPackage()
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: Math.max(...threads), logLevel: 'error' })
const model = await llama.loadModel({ modelPath: given.model })
const llm = await load(given.model, {
  maxTotalTokens: contextTokens,
  maxBatchTotalTokens: 8 * contextTokens,
  maxBatchSize: 8,
})
await ours(llm, jobs[0]!, 0)
const begin = conditions()
const results = []
for (const job of jobs) results.push(await compare(llm, model, job))
console.log(
  `${given.model.split('/').at(-1)}: our library (${llm.info.dtype}) and node-llama-cpp (${llama.buildType}), load ${short(begin.load)}`,
)
printTable(
  ['job', 'ours', 'node-llama-cpp', 'ratio', 'its best setting'],
  results.map((r) => [r.job, r.ours, r.theirs, `${r.ratio.toFixed(2)}x`, r.setting]),
)
console.log(JSON.stringify({ bench: 'node-llama-cpp', ...begin, rounds, results }))
await llm.close()
await llama.dispose()
