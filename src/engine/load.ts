import type { Arenas, Backend, Plan } from '../backends/contract.ts'
import { openBackend } from '../backends/select.ts'
import type { Program } from '../graph/program.ts'
import { createFrame } from '../ops/frame.ts'
import type { Catalog } from '../weights/catalog.ts'
import { type Checkpoint, openCheckpoint } from '../weights/open.ts'
import { type EmitEvents, Engine } from './engine.ts'
import { checkMemory, memoryPlan } from './memory-plan.ts'
import { paceOf } from './pace.ts'
import { backendOptions, prepare } from './prepare.ts'
import { createRunner } from './runner.ts'
import { createScheduler } from './scheduler.ts'
import type { EngineFacts, EngineOptions, LoadProgress } from './spec.ts'

type Report = (progress: LoadProgress) => void

/**
 * Loads a model into an engine: checkpoint, graph, program, memory, weights. Everything it will ever need is reserved
 * before the weights are read; what does not fit is refused with `engine.memory`. Nothing stays open after a failure.
 */
export async function loadEngine(
  options: EngineOptions,
  emit: EmitEvents,
  report: Report,
  open: typeof openBackend = openBackend,
): Promise<Engine> {
  report({ stage: 'open', fraction: 0 })
  const { backend, notice } = open(backendOptions(options))
  try {
    const checkpoint = openCheckpoint(options.model, backend.mapFile)
    try {
      const { facts, plan } = await loadModel(checkpoint, backend, options, report)
      report({ stage: 'ready', fraction: 1 })
      const { program } = plan
      const runner = createRunner(backend, plan, createFrame(program.limits))
      const pace = paceOf(program, options.prefillStretch || undefined)
      const scheduler = createScheduler(program.limits, { ropeThreshold: ropeThreshold(program), pace })
      return new Engine({ ...facts, ...(notice ? { notice } : {}) }, runner, scheduler, emit)
    } finally {
      // The arenas hold copies; nothing reads the files any more.
      checkpoint.close()
    }
  } catch (error) {
    backend.close()
    throw error
  }
}

interface LoadedModel {
  readonly facts: EngineFacts
  readonly plan: Plan
}

async function loadModel(
  checkpoint: Checkpoint,
  backend: Backend,
  options: EngineOptions,
  report: Report,
): Promise<LoadedModel> {
  const prepared = prepare(checkpoint, backend, options)
  const { facts, program } = prepared
  checkMemory(memoryPlan(prepared))
  const arenas = reserveArenas(backend, program)
  await uploadWeights(backend, program, arenas, checkpoint.catalog, report)
  report({ stage: 'compile', fraction: 0 })
  return { facts, plan: backend.compile(program, arenas) }
}

/** Longest rope length that changes no angle: what was computed with longer ones is not that of another length. */
function ropeThreshold({ instructions }: Program): number {
  const thresholds = instructions.filter((i) => i.op === 'ropeTable').map((i) => Number(i.attributes['threshold']))
  return Math.min(Number.POSITIVE_INFINITY, ...thresholds)
}

const reserveArenas = (backend: Backend, { arenas }: Program): Arenas => ({
  weights: backend.reserve('weights', arenas.weights),
  activations: backend.reserve('activations', arenas.activations),
  cache: backend.reserve('cache', arenas.cache),
})

/** One weight after another, with progress at every hundredth. */
async function uploadWeights(
  backend: Backend,
  program: Program,
  arenas: Arenas,
  catalog: Catalog,
  report: Report,
): Promise<void> {
  let done = 0
  let reported = -1
  for (const placed of program.weights) {
    const parts = placed.weight.tensors.map((tensor) => catalog.tensors.get(tensor)!)
    await backend.upload(placed, arenas.weights, parts)
    done += placed.bytes
    const fraction = Math.floor((100 * done) / (program.arenas.weights || 1)) / 100
    if (fraction > reported) report({ stage: 'weights', fraction })
    reported = fraction
  }
}
