import { availableParallelism } from 'node:os'
import { neutralFrame } from '#dist/backends/conformance/loaded.js'
import type { Arenas, Backend, Plan } from '#dist/backends/contract.js'
import { openCpuBackend } from '#dist/backends/cpu/backend.js'
import { prepare } from '#dist/engine/prepare.js'
import type { EngineOptions } from '#dist/engine/spec.js'
import type { Program } from '#dist/graph/program.js'
import { blocksPerSequence } from '#dist/ops/domain.js'
import type { Frame } from '#dist/ops/frame.js'
import { openCheckpoint } from '#dist/weights/open.js'
import { numbers, readOptions } from './options.ts'
import { conditions } from './roofline.ts'
import { percent, printTable, short } from './table.ts'

/** Where the time of a step goes: a real model, its real program, op by op as the backend itself counts. */
const given = readOptions('model', 'rows', 'context', 'rounds', 'threads', 'isa', 'dtype', 'kv')
if (!given.model) {
  console.error('usage: profile --model <directory or .gguf> [--rows 1,8,32,512] [--context 512] [--rounds 5]')
  console.error('  [--threads 2] [--isa avx2] [--dtype bfloat16] [--kv int8]')
  process.exit(2)
}
/** Steps of more rows are a chunk of one prompt; up to here every row is a sequence of its own. */
const mostSequences = 64
const threads = Number(given.threads ?? availableParallelism())
const rounds = Number(given.rounds ?? 5)
const context = Number(given.context ?? 512)
const rows = numbers(given.rows ?? '1,8,32,512')
const sequences = Math.max(1, ...rows.filter((r) => r <= mostSequences))

interface Loaded {
  readonly backend: Backend
  readonly program: Program
  readonly plan: Plan
  readonly frame: Frame
}

async function open(model: string): Promise<Loaded> {
  const backend = openCpuBackend({ threads, ...(given.isa ? { isa: given.isa } : {}) })
  const checkpoint = openCheckpoint(model, backend.mapFile)
  const { program } = prepare(checkpoint, backend, {
    model,
    ...(given.dtype ? { dtype: given.dtype as NonNullable<EngineOptions['dtype']> } : {}),
    ...(given.kv ? { kvDtype: given.kv as NonNullable<EngineOptions['kvDtype']> } : {}),
    maxTotalTokens: context,
    maxBatchTotalTokens: (sequences + 1) * context,
    maxBatchPrefillTokens: Math.max(512, ...rows),
    maxBatchSize: sequences,
  })
  const { weights, activations, cache } = program.arenas
  const arenas: Arenas = {
    weights: backend.reserve('weights', weights),
    activations: backend.reserve('activations', activations),
    cache: backend.reserve('cache', cache),
  }
  for (const placed of program.weights) {
    const parts = placed.weight.tensors.map((name) => checkpoint.catalog.tensors.get(name)!)
    await backend.upload(placed, arenas.weights, parts)
  }
  checkpoint.close()
  return { backend, program, plan: backend.compile(program, arenas), frame: neutralFrame(program.limits) }
}

/** `count` tokens that end at `end` of each sequence `[first, first + n)`; the last row of each is sampled greedily. */
async function step({ backend, program, plan, frame }: Loaded, first: number, n: number, end: number, count: number) {
  const { blockSize, vocabulary } = program.limits
  const blocks = Math.ceil(context / blockSize)
  for (let s = 0; s < n; s++) {
    for (let i = 0; i < blocks; i++) {
      frame.blockTables[s * blocksPerSequence(program.limits) + i] = (first + s) * blocks + i
    }
    frame.queryStarts[s] = s * count
    frame.contextLengths[s] = end
    frame.sampleRows[s] = (s + 1) * count - 1
    frame.sampleHistory[s] = s
    frame.sampleLengths[s] = end
    for (let i = 0; i < count; i++) {
      const [row, position] = [s * count + i, end - count + i]
      frame.tokenIds[row] = (31 * position + 7 * s) % vocabulary
      frame.positions[row] = position
      frame.ropeLengths[row] = position + 1
      frame.slots[row] = ((first + s) * blocks + Math.floor(position / blockSize)) * blockSize + (position % blockSize)
      frame.tokenSequences[row] = s
    }
  }
  frame.queryStarts[n] = n * count
  frame.counts.set([n * count, n, n])
  return (await backend.run(plan, frame)).nanoseconds
}

interface Share {
  readonly op: string
  readonly milliseconds: number
}

/** Milliseconds of a step by op, matrix products by the width of what they make. */
function shares(program: Program, before: readonly number[], after: readonly number[]): Share[] {
  const by = new Map<string, number>()
  for (const [i, { op, places }] of program.instructions.entries()) {
    const name = op === 'linear' ? `linear ${places['x']!.width} -> ${places['out']!.width}` : op
    by.set(name, (by.get(name) ?? 0) + (after[i]! - before[i]!) / rounds / 1e6)
  }
  return [...by].map(([op, milliseconds]) => ({ op, milliseconds })).sort((a, b) => b.milliseconds - a.milliseconds)
}

const loaded = await open(given.model)
const { backend, program, plan } = loaded
const chunk = Math.min(512, context)
for (let s = 0; s < sequences; s++) {
  for (let end = chunk; end <= context; end += chunk) await step(loaded, s, 1, end, chunk)
}
const steps = []
for (const r of rows) {
  const [n, count] = r <= mostSequences ? [r, 1] : [1, Math.min(r, context)]
  await step(loaded, 0, n, context, count)
  const before = backend.profile!(plan)
  for (let i = 0; i < rounds; i++) await step(loaded, 0, n, context, count)
  const by = shares(program, before, backend.profile!(plan))
  const total = by.reduce((sum, s) => sum + s.milliseconds, 0)
  console.log(
    `\n${n} x ${count} tokens at ${context}: ${short(total)} ms, ${short((1000 * n * count) / total)} tokens/s`,
  )
  printTable(
    ['op', 'ms a step', 'share'],
    by.map((s) => [s.op, s.milliseconds.toFixed(3), percent(s.milliseconds / total)]),
  )
  steps.push({ sequences: n, tokens: count, context, milliseconds: total, by })
}
console.log(JSON.stringify({ bench: 'profile', ...conditions(), model: given.model, threads, rounds, steps }))
backend.close()
