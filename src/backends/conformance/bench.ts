import type { Graph } from '../../graph/graph.ts'
import type { Program } from '../../graph/program.ts'
import type { Limits } from '../../ops/domain.ts'
import type { Frame } from '../../ops/frame.ts'
import type { FormatName } from '../../tensor/format.ts'
import type { KvFormat } from '../../tensor/kv-format.ts'
import type { Backend } from '../contract.ts'
import { Checkpoint } from './checkpoint.ts'
import { type Loaded, loadGraph, type SmallLimits } from './loaded.ts'
import type { Random } from './random.ts'

/** How a case is loaded; what it builds, values apart so that all can be read, weights as they come. */
export interface Loading {
  readonly limits: SmallLimits
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

/** Builds, plans, uploads and compiles. */
export async function openBench(backend: Backend, random: Random, loading: Loading): Promise<Bench> {
  const { reuse = false, wanted, kv } = loading
  const checkpoint = new Checkpoint(random)
  const build = (g: Graph, limits: Limits) => loading.build({ g, checkpoint, random, limits })
  const options = { reuse, ...(wanted && { wanted }), ...(kv && { kv }) }
  return bench(backend, await loadGraph(backend, loading.limits, checkpoint.tensors, build, options))
}

function bench(backend: Backend, { program, plan, arenas, frame }: Loaded): Bench {
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
