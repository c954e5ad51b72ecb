import { Graph } from '../../graph/graph.ts'
import { type PlanOptions, planProgram } from '../../graph/plan.ts'
import type { Program } from '../../graph/program.ts'
import type { Limits } from '../../ops/domain.ts'
import { createFrame, type Frame } from '../../ops/frame.ts'
import type { StoredTensor } from '../../weights/catalog.ts'
import type { Arena, Arenas, Backend, Plan } from '../contract.ts'

/** What a small graph may set of the limits. */
export type SmallLimits = Partial<Omit<Limits, 'blockSize'>>

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

/** A graph on a backend, ready to step. */
export interface Loaded {
  readonly program: Program
  readonly plan: Plan
  readonly arenas: Arenas
  readonly frame: Frame
}

/** Builds, plans, uploads and compiles a graph that is no model. `cache`: that of another program with the same layers. */
export async function loadGraph(
  backend: Backend,
  some: SmallLimits,
  tensors: ReadonlyMap<string, StoredTensor>,
  build: (g: Graph, limits: Limits) => void,
  { cache, ...options }: PlanOptions & { readonly cache?: Arena },
): Promise<Loaded> {
  const limits: Limits = { ...smallest, ...some, blockSize: backend.traits.blockSize }
  const g = new Graph((name) => tensors.get(name)?.shape)
  build(g, limits)
  const program = planProgram(g.finish(), limits, backend.traits, (name) => tensors.get(name)!.format, options)
  const arenas: Arenas = {
    weights: backend.reserve('weights', program.arenas.weights),
    activations: backend.reserve('activations', program.arenas.activations),
    cache: cache ?? backend.reserve('cache', program.arenas.cache),
  }
  for (const placed of program.weights) {
    const parts = placed.weight.tensors.map((name) => tensors.get(name)!)
    await backend.upload(placed, arenas.weights, parts)
  }
  return { program, plan: backend.compile(program, arenas), arenas, frame: neutralFrame(limits) }
}

/** A frame whose sampling parameters are all off. */
export function neutralFrame(limits: Limits): Frame {
  const frame = createFrame(limits)
  for (const f of ['temperature', 'topP', 'typicalP', 'repetitionPenalty'] as const) frame[f].fill(1)
  for (const f of ['sampleTargets', 'sampleMasks'] as const) frame[f].fill(-1)
  return frame
}
