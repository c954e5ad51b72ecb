import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Backend, Plan } from '../backends/contract.ts'
import { Graph } from '../graph/graph.ts'
import { planProgram } from '../graph/plan.ts'
import type { Place, Program } from '../graph/program.ts'
import { blocksPerSequence, type Limits } from '../ops/domain.ts'
import { createFrame, type Frame } from '../ops/frame.ts'
import { sampleFrom } from '../sampling/chain.ts'
import type { Catalog } from '../weights/catalog.ts'
import { openCheckpoint } from '../weights/open.ts'
import { findArchitecture } from './registry.ts'

/** What `tools/reference` computed with transformers for one sequence. */
export interface Golden {
  readonly ids: readonly number[]
  /** `[ids.length, vocabulary]`. */
  readonly logits: Float32Array
  readonly greedy: readonly number[]
}

/** Reads the sequences of a golden file (safetensors with `ids.N`, `logits.N`, `greedy.N`). */
export function readGolden(file: Buffer): readonly Golden[] {
  const headerBytes = Number(file.readBigUInt64LE())
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { data_offsets: [number, number] }
  >
  const bytesOf = (name: string) => {
    const [from, to] = header[name]!.data_offsets.map((o) => 8 + headerBytes + o) as [number, number]
    return file.buffer.slice(file.byteOffset + from, file.byteOffset + to)
  }
  const golden: Golden[] = []
  for (let n = 0; header[`ids.${n}`]; n++) {
    const ints = (name: string) => [...new Int32Array(bytesOf(`${name}.${n}`) as ArrayBuffer)]
    golden.push({
      ids: ints('ids'),
      logits: new Float32Array(bytesOf(`logits.${n}`) as ArrayBuffer),
      greedy: ints('greedy'),
    })
  }
  return golden
}

/** Tokens `start...` of one sequence that a step computes. */
export interface Stretch {
  readonly sequence: number
  readonly ids: readonly number[]
  readonly start: number
  readonly ropeLength: number
}

const context = 128
const sequences = 8

/**
 * A model without an engine, for checks against other implementations: it fills frames itself, so that what the
 * engine does to them is not part of what is checked, and it shows the logits of every row.
 */
export class GoldenModel {
  readonly vocabulary: number
  readonly #backend: Backend
  readonly #plan: Plan
  readonly #frame: Frame
  readonly #activations: ArrayBuffer
  readonly #catalog: Catalog

  private constructor(backend: Backend, plan: Plan, activations: ArrayBuffer, catalog: Catalog) {
    this.#backend = backend
    this.#plan = plan
    this.#frame = createFrame(plan.program.limits)
    this.#activations = activations
    this.#catalog = catalog
    this.vocabulary = plan.program.limits.vocabulary
  }

  static async load(backend: Backend, directory: string, configName = 'config.json'): Promise<GoldenModel> {
    const { catalog } = await openCheckpoint(directory, backend.mapFile)
    const json: unknown = JSON.parse(readFileSync(join(directory, configName), 'utf8'))
    const architecture = findArchitecture(json)
    const config = architecture.config(json)
    const graph = new Graph((name) => catalog.tensors.get(name)?.shape)
    sampleFrom(graph, architecture.build(graph, config))
    const limits = limitsFor(backend, config.vocabulary)
    const format = (name: string) => catalog.tensors.get(name)!.format
    const program = planProgram(graph.finish(), limits, backend.traits, format, { wanted: 'f32', reuse: false })
    const arenas = {
      weights: backend.reserve('weights', program.arenas.weights),
      activations: backend.reserve('activations', program.arenas.activations),
      cache: backend.reserve('cache', program.arenas.cache),
    }
    for (const w of program.weights) {
      await backend.upload(
        w,
        arenas.weights,
        w.weight.tensors.map((t) => catalog.tensors.get(t)!),
      )
    }
    return new GoldenModel(backend, backend.compile(program, arenas), arenas.activations.buffer, catalog)
  }

  /** Logits of every row of the batch, `[rows, vocabulary]`, in order. */
  async step(batch: readonly Stretch[]): Promise<Float32Array> {
    const rows = batch.reduce((n, s) => n + s.ids.length, 0)
    this.#fill(batch, rows)
    await this.#backend.run(this.#plan, this.#frame)
    const { offset, stride, width } = logitsPlace(this.#plan.program)
    const all = new Float32Array(this.#activations, offset, rows * stride)
    const out = new Float32Array(rows * width)
    for (let r = 0; r < rows; r++) out.set(all.subarray(r * stride, r * stride + width), r * width)
    return out
  }

  /** The token chosen after the last row of each stretch. */
  async choose(batch: readonly Stretch[]): Promise<number[]> {
    await this.step(batch)
    let row = 0
    return batch.map(({ ids }) => {
      row += ids.length
      return this.#frame.chosen[row - 1]!
    })
  }

  /** Nothing to clear: a sequence that starts at 0 again overwrites what it reads. */
  forget(): void {
    this.#frame.counts.fill(0)
  }

  close(): void {
    this.#backend.close()
    this.#catalog.close()
  }

  #fill(batch: readonly Stretch[], rows: number): void {
    const f = this.#frame
    const blocks = blocksPerSequence(f.limits)
    f.counts.set([rows, batch.length, rows])
    let row = 0
    batch.forEach(({ sequence, ids, start, ropeLength }, i) => {
      f.queryStarts[i] = row
      f.contextLengths[i] = start + ids.length
      // Blocks of a sequence lie apart and out of order, as they do in a running engine.
      for (let b = 0; b < blocks; b++) f.blockTables[i * blocks + b] = (b * sequences + sequence) ^ 1
      ids.forEach((id, j) => {
        const position = start + j
        const block = f.blockTables[i * blocks + Math.floor(position / f.limits.blockSize)]!
        f.tokenIds[row] = id
        f.positions[row] = position
        f.ropeLengths[row] = ropeLength
        f.slots[row] = block * f.limits.blockSize + (position % f.limits.blockSize)
        f.tokenSequences[row] = i
        f.sampleRows[row] = row
        row++
      })
    })
    f.queryStarts[batch.length] = row
    f.sampleTargets.fill(-1, 0, rows)
    f.sampleMasks.fill(-1, 0, rows)
    for (const field of ['temperature', 'topP', 'typicalP', 'repetitionPenalty'] as const) f[field].fill(1, 0, rows)
  }
}

function limitsFor(backend: Backend, vocabulary: number): Limits {
  const { blockSize } = backend.traits
  const blocks = sequences * Math.ceil(context / blockSize)
  return { tokens: 400, sequences, samples: 400, context, blocks, blockSize, vocabulary, topTokens: 4, masks: 1 }
}

function logitsPlace(program: Program): Place {
  return program.instructions.find((i) => i.op === 'penalize')!.places['logits']!
}
