import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { median } from '#dist/cli/statistics.js'
import type { EngineOptions } from '#dist/engine/spec.js'
import { readOptions, threadCounts } from '../options.ts'
import { conditions } from '../roofline.ts'
import { printTable, short } from '../table.ts'
import { type Case, cases } from './cases.ts'
import { best, hopeful, type Tried } from './choose.ts'
import { type Ours, openOurs } from './ours.ts'

/**
 * Our engine against onnxruntime-node in this process, in turn. It executes graphs and nothing more: the loop around it, which feeds keys
 * and values back, is here, and takes no tokens from the logits, which favours it.
 */

/** As much of its API as is used here; it is installed elsewhere. */
interface Tensor {
  readonly data: unknown
}
type Feeds = Record<string, Tensor>
interface Session {
  readonly inputNames: readonly string[]
  run(feeds: Feeds): Promise<Feeds>
  release(): Promise<void>
}
interface Package {
  readonly Tensor: new (
    type: 'int64' | 'float32',
    data: BigInt64Array | Float32Array,
    dims: readonly number[],
  ) => Tensor
  readonly InferenceSession: {
    create(file: string, options: { intraOpNumThreads: number; graphOptimizationLevel: 'all' }): Promise<Session>
  }
}
/** Of `genai_config.json`, which the builder of onnxruntime-genai writes beside `model.onnx`. */
interface Decoder {
  readonly head_size: number
  readonly num_key_value_heads: number
}

const given = readOptions('onnxruntime', 'onnx', 'model', 'dtype', 'rounds', 'threads')
if (!given.onnxruntime || !given.onnx || !given.model) {
  console.error(
    'usage: onnxruntime --onnxruntime <folder of the installed onnxruntime-node> --onnx <folder of model.onnx>',
  )
  console.error('  --model <file.gguf of the same weights> [--dtype float32] [--rounds 3] [--threads 1,2]')
  process.exit(2)
}
const rounds = Number(given.rounds ?? 3)
const threads = threadCounts(given.threads)
const wanted = cases.filter((c) => !c.neighbour && !c.name.startsWith('deep'))
const folder = resolve(given.onnx)
const { Tensor: OnnxTensor, InferenceSession } = createRequire(import.meta.url)(resolve(given.onnxruntime)) as Package
const { decoder } = (
  JSON.parse(readFileSync(join(folder, 'genai_config.json'), 'utf8')) as { model: { decoder: Decoder } }
).model

/** Any tokens do: the work is the same. */
const ids = (batch: number, length: number): Tensor =>
  new OnnxTensor(
    'int64',
    BigInt64Array.from({ length: batch * length }, (_, i) => BigInt(100 + ((i * 7919) % 40_000))),
    [batch, length],
  )
const ones = (batch: number, length: number): Tensor =>
  new OnnxTensor('int64', new BigInt64Array(batch * length).fill(1n), [batch, length])

function emptyCache(session: Session, batch: number): Feeds {
  const dims = [batch, decoder.num_key_value_heads, 0, decoder.head_size]
  const names = session.inputNames.filter((name) => name.startsWith('past_key_values.'))
  return Object.fromEntries(names.map((name) => [name, new OnnxTensor('float32', new Float32Array(0), dims)]))
}

/** One step; what comes out is the cache of the next. */
async function step(session: Session, cache: Feeds, batch: number, length: number, before: number): Promise<Feeds> {
  const feeds = { ...cache, input_ids: ids(batch, length), attention_mask: ones(batch, before + length) }
  const out = await session.run(feeds)
  const kept = Object.entries(out).filter(([name]) => name.startsWith('present.'))
  return Object.fromEntries(kept.map(([name, tensor]) => [name.replace('present.', 'past_key_values.'), tensor]))
}

/** Tokens a second. */
async function theirs(session: Session, { kind, batch, promptTokens, newTokens }: Case): Promise<number> {
  let begin = performance.now()
  let cache = await step(session, emptyCache(session, batch), batch, promptTokens, 0)
  if (kind === 'prefill') return (1000 * batch * promptTokens) / (performance.now() - begin)
  begin = performance.now()
  for (let i = 0; i < newTokens; i++) cache = await step(session, cache, batch, 1, promptTokens + i)
  return (1000 * batch * newTokens) / (performance.now() - begin)
}

async function compare(ours: Ours, c: Case) {
  const own: number[] = []
  const tried: Tried<number>[] = threads.map((setting) => ({ setting, rates: [] }))
  for (let round = 0; round < rounds; round++) {
    own.push(await ours.run(c))
    const still = hopeful(tried)
    for (const [i, t] of tried.entries()) {
      if (still.includes(t.setting)) tried[i] = { ...t, rates: [...t.rates, await withSession(t.setting, c)] }
    }
    process.stderr.write(
      `${c.name}: ${short(own.at(-1)!)} against ${tried.map((t) => short(t.rates.at(-1)!)).join(', ')}\n`,
    )
  }
  const winner = best(tried)!
  const rate = median(own)
  return { case: c.name, ours: rate, theirs: winner.rate, ratio: rate / winner.rate, threads: winner.setting }
}

/** A session's threads wait awake, so each has one only while it is measured. */
async function withSession(intraOpNumThreads: number, c: Case): Promise<number> {
  const session = await InferenceSession.create(join(folder, 'model.onnx'), {
    intraOpNumThreads,
    graphOptimizationLevel: 'all',
  })
  try {
    await step(session, emptyCache(session, 1), 1, 8, 0)
    return await theirs(session, c)
  } finally {
    await session.release()
  }
}

const dtype = given.dtype as EngineOptions['dtype']
const ours = await openOurs(given.model, wanted, dtype ? { dtype } : {})
const begin = conditions()
const results = []
for (const c of wanted) results.push(await compare(ours, c))
console.log(
  `${given.model.split('/').at(-1)} (${ours.dtype}) and ${folder.split('/').at(-1)}, load ${short(begin.load)}`,
)
printTable(
  ['case', 'ours', 'onnxruntime', 'ratio', 'its threads'],
  results.map((r) => [r.case, short(r.ours), short(r.theirs), `${r.ratio.toFixed(2)}x`, `${r.threads}`]),
)
console.log(JSON.stringify({ bench: 'onnxruntime', ...begin, rounds, results }))
await ours.close()
