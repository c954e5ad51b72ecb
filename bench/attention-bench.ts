import type { Backend } from '#dist/backends/contract.js'
import { blocksPerSequence } from '#dist/ops/domain.js'
import type { KvFormat } from '#dist/tensor/kv-format.js'
import type { Measurement } from './linear-bench.ts'
import { type Building, input, inTurn, openProgram, type Runnable, walkedBytes } from './program.ts'
import type { ModelShape } from './shapes.ts'

/** Layers in a program, at most. */
const mostLayers = 64
const chunk = 512

/** Tokens `[context - rows, context)` of each of `sequences` sequences. */
interface Step {
  readonly sequences: number
  readonly context: number
  readonly rows: number
}

/** Attention of a decode step (one row a sequence), and of a chunk of a prompt. */
export async function benchAttention(
  open: () => Backend,
  model: ModelShape,
  format: KvFormat,
  contexts: readonly number[],
  sequences: readonly number[],
  rounds: number,
): Promise<Measurement[]> {
  const measured: Measurement[] = []
  for (const context of contexts) {
    for (const s of sequences) {
      const steps = [
        { sequences: s, context, rows: 1 },
        ...(s === 1 ? [{ sequences: 1, context, rows: Math.min(chunk, context) }] : []),
      ]
      const backend = open()
      try {
        measured.push(...(await benchSteps(backend, model, format, steps, rounds)))
      } finally {
        backend.close()
      }
    }
  }
  return measured
}

async function benchSteps(
  backend: Backend,
  model: ModelShape,
  format: KvFormat,
  steps: readonly Step[],
  rounds: number,
): Promise<Measurement[]> {
  const { sequences, context } = steps[0]!
  const { heads, kvHeads, headDim } = model
  const { blockSize } = backend.traits
  const blocks = sequences * Math.ceil(context / blockSize)
  const layerBytes = blocks * backend.traits.cacheBlockBytes({ kvHeads, headDim }, format)
  const layers = Math.min(mostLayers, Math.ceil(walkedBytes / layerBytes))
  const limits = { tokens: Math.max(chunk, sequences), sequences, context, blocks }
  const fill = await openProgram(backend, limits, (b) => buildLayers(b, model, layers, limits.tokens, false), {
    format,
  })
  const shared = { format, arena: fill.cache }
  const decode = await openProgram(backend, limits, (b) => buildLayers(b, model, layers, limits.tokens, true), shared)
  for (let end = chunk; end - chunk < context; end += chunk) {
    for (let s = 0; s < sequences; s++)
      await runStep(fill, { sequences: 1, context: Math.min(end, context), rows: chunk }, s)
  }
  const took = await inTurn(
    steps.map((step) => () => runStep(decode, step)),
    rounds,
  )
  return steps.map((step, i) => {
    const pairs = (step.sequences * step.rows * (2 * context - step.rows + 1)) / 2
    return {
      model: model.name,
      op: `attention ${step.rows === 1 ? 'decode' : 'chunk'} at ${context}`,
      format: `kv ${format}`,
      rows: step.sequences * step.rows,
      seconds: took[i]!.median / layers,
      best: took[i]!.best / layers,
      bytes: layerBytes,
      flops: 4 * heads * headDim * pairs,
      times: model.layers,
    }
  })
}

function buildLayers(b: Building, m: ModelShape, layers: number, tokens: number, attend: boolean): void {
  const { g } = b
  const { heads, kvHeads, headDim } = m
  const q = input(b, 'q', tokens, heads * headDim)
  const k = input(b, 'k', tokens, kvHeads * headDim)
  const v = input(b, 'v', tokens, kvHeads * headDim)
  for (let i = 0; i < layers; i++) {
    const layer = g.cache({ kvHeads, headDim })
    g.op('writeKv', `kv${i}`, { k, v }, { layer, kvHeads, headDim })
    if (!attend) continue
    const scale = headDim ** -0.5
    g.op('attention', `out${i}`, { q }, { layer, heads, kvHeads, headDim, scale, window: 0, softcap: 0 })
  }
}

/** Runs a step of sequences `[first, first + sequences)`; their blocks lie one after another. */
function runStep({ program, frame, run }: Runnable, step: Step, first = 0): Promise<number> {
  const { blockSize, context } = program.limits
  const blocks = Math.ceil(context / blockSize)
  const rows = Math.min(step.rows, step.context)
  for (let s = 0; s < step.sequences; s++) {
    const table = blocksPerSequence(program.limits) * s
    for (let i = 0; i < blocks; i++) frame.blockTables[table + i] = (first + s) * blocks + i
    frame.queryStarts[s] = s * rows
    frame.contextLengths[s] = step.context
    for (let i = 0; i < rows; i++) {
      const [row, position] = [s * rows + i, step.context - rows + i]
      frame.tokenIds[row] = row
      frame.positions[row] = position
      frame.slots[row] = ((first + s) * blocks + Math.floor(position / blockSize)) * blockSize + (position % blockSize)
      frame.tokenSequences[row] = s
    }
  }
  frame.queryStarts[step.sequences] = step.sequences * rows
  frame.counts.set([step.sequences * rows, step.sequences, 0])
  return run()
}
