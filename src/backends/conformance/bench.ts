import { Graph } from '../../graph/graph.ts'
import { planProgram } from '../../graph/plan.ts'
import type { Program } from '../../graph/program.ts'
import type { Limits } from '../../ops/domain.ts'
import { createFrame, type Frame } from '../../ops/frame.ts'
import type { FormatName } from '../../tensor/format.ts'
import type { KvFormat } from '../../tensor/kv-format.ts'
import type { Arenas, Backend, Plan } from '../contract.ts'
import { Checkpoint } from './checkpoint.ts'
import type { Random } from './random.ts'

/** What a case may set of the limits; the rest is small. */
export type CaseLimits = Partial<Omit<Limits, 'blockSize'>>

/** How a case is loaded; what it builds, values apart so that all can be read, weights as they come. */
export interface Loading {
  readonly limits: CaseLimits
  readonly build: (b: Build) => void
  readonly reuse?: boolean
  readonly wanted?: FormatName
  readonly kv?: KvFormat
}

export interface Build {
  readonly g: Graph
  readonly checkpoint: Checkpoint
  readonly random: Random
  readonly limits: Limits
}

/** A graph loaded into a backend, ready to step. */
export interface Bench {
  readonly program: Program
  readonly limits: Limits
  readonly frame: Frame
  run(): Promise<void>
  /** Fills the cache with what a step must never read. */
  poisonCache(): void
  /** Copy of row `row` of the value that the op `name` made. */
  row(name: string, row: number): Float32Array
}

const smallest: Omit<Limits, 'blockSize'> = {
  tokens: 1,
  sequences: 1,
  samples: 1,
  context: 16,
  blocks: 1,
  vocabulary: 32,
  topTokens: 1,
  masks: 1,
}

/** Builds, plans, uploads and compiles. */
export async function openBench(backend: Backend, random: Random, loading: Loading): Promise<Bench> {
  const limits: Limits = { ...smallest, ...loading.limits, blockSize: backend.traits.blockSize }
  const checkpoint = new Checkpoint(random)
  const g = new Graph((name) => checkpoint.tensors.get(name)?.shape)
  loading.build({ g, checkpoint, random, limits })
  const formatOf = (name: string) => checkpoint.tensors.get(name)!.format
  const options = {
    reuse: loading.reuse ?? false,
    ...(loading.wanted && { wanted: loading.wanted }),
    ...(loading.kv && { kv: loading.kv }),
  }
  const program = planProgram(g.finish(), limits, backend.traits, formatOf, options)
  const arenas: Arenas = {
    weights: backend.reserve('weights', program.arenas.weights),
    activations: backend.reserve('activations', program.arenas.activations),
    cache: backend.reserve('cache', program.arenas.cache),
  }
  for (const placed of program.weights) {
    const parts = placed.weight.tensors.map((name) => checkpoint.tensors.get(name)!)
    await backend.upload(placed, arenas.weights, parts)
  }
  return bench(backend, program, backend.compile(program, arenas), arenas)
}

function bench(backend: Backend, program: Program, plan: Plan, arenas: Arenas): Bench {
  const frame = neutralFrame(program.limits)
  return {
    program,
    limits: program.limits,
    frame,
    run: async () => {
      await backend.run(plan, frame)
    },
    poisonCache: () => {
      // Not a number as float32 and as bfloat16, and so are the scales of an int8 cache.
      new Uint32Array(arenas.cache.buffer).fill(0x7fc07fc0)
    },
    row(name, row) {
      const { offset, stride, column, width } = program.instructions.find((i) => i.name === name)!.places['out']!
      return new Float32Array(arenas.activations.buffer, offset + 4 * (row * stride + column), width).slice()
    },
  }
}

/** A frame whose sampling parameters are all off. */
export function neutralFrame(limits: Limits): Frame {
  const frame = createFrame(limits)
  for (const f of ['temperature', 'topP', 'typicalP', 'repetitionPenalty'] as const) frame[f].fill(1)
  for (const f of ['sampleTargets', 'sampleMasks'] as const) frame[f].fill(-1)
  return frame
}
