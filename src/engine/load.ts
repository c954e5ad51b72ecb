import type { Arenas, Backend, Plan } from '../backends/contract.ts'
import { openBackend } from '../backends/select.ts'
import { fail } from '../base/errors.ts'
import { Graph } from '../graph/graph.ts'
import type { GraphData } from '../graph/node.ts'
import { planProgram } from '../graph/plan.ts'
import type { Program } from '../graph/program.ts'
import type { Architecture, ModelFacts } from '../models/architecture.ts'
import { findArchitecture } from '../models/registry.ts'
import type { Limits } from '../ops/domain.ts'
import { createFrame, frameLayout } from '../ops/frame.ts'
import { sampleFrom } from '../sampling/chain.ts'
import { type FormatName, rowBytes } from '../tensor/format.ts'
import type { Catalog } from '../weights/catalog.ts'
import { type Checkpoint, openCheckpoint } from '../weights/open.ts'
import { type EmitEvents, Engine } from './engine.ts'
import { chooseLimits, maxTopTokens } from './limits.ts'
import { availableMemory, checkMemory } from './memory.ts'
import { readEosIds, withRopeScaling } from './model-config.ts'
import { createRunner } from './runner.ts'
import { createScheduler } from './scheduler.ts'
import type { EngineFacts, EngineOptions, LoadProgress } from './spec.ts'

type Report = (progress: LoadProgress) => void

const wantedFormats: Readonly<Record<NonNullable<EngineOptions['dtype']>, FormatName | undefined>> = {
  auto: undefined,
  float32: 'f32',
  bfloat16: 'bf16',
  float16: 'f16',
}

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
  const { backend: name = 'auto', threads, isa, verify } = options
  const { backend, notice } = open({
    backend: name,
    ...(threads ? { threads } : {}),
    ...(isa ? { isa } : {}),
    ...(verify ? { verify } : {}),
  })
  try {
    const checkpoint = openCheckpoint(options.model, backend.mapFile)
    try {
      const { facts, limits, plan } = await loadModel(checkpoint, backend, options, report)
      report({ stage: 'ready', fraction: 1 })
      const runner = createRunner(backend, plan, createFrame(limits))
      return new Engine(
        { ...facts, ...(notice ? { notice } : {}) },
        runner,
        createScheduler(limits, ropeThreshold(plan.program)),
        emit,
      )
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
  readonly limits: Limits
  readonly plan: Plan
}

async function loadModel(
  checkpoint: Checkpoint,
  backend: Backend,
  options: EngineOptions,
  report: Report,
): Promise<LoadedModel> {
  const json = withRopeScaling(checkpoint.config, options.ropeScaling)
  const { catalog } = checkpoint
  const architecture = findArchitecture(json)
  const model = architecture.config(json)
  const graph = buildGraph(architecture, model, catalog)
  const limits = chooseLimits(options, model, storageCosts(graph, backend, catalog))
  const program = planProgram(graph, limits, backend.traits, (tensor) => catalog.tensors.get(tensor)!.format, {
    ...wantedFormat(options.dtype),
    reuse: !options.verify,
  })
  checkMemory(program.arenas, frameLayout(limits).bytes, availableMemory())
  const arenas = reserveArenas(backend, program)
  await uploadWeights(backend, program, arenas, catalog, report)
  report({ stage: 'compile', fraction: 0 })
  const plan = backend.compile(program, arenas)
  return { facts: engineFacts(checkpoint, architecture, backend, program), limits, plan }
}

/** Longest rope length that changes no angle: what was computed with longer ones is not that of another length. */
function ropeThreshold({ instructions }: Program): number {
  const thresholds = instructions.filter((i) => i.op === 'ropeTable').map((i) => Number(i.attributes['threshold']))
  return Math.min(Number.POSITIVE_INFINITY, ...thresholds)
}

function wantedFormat(dtype: EngineOptions['dtype'] = 'auto'): { wanted?: FormatName } {
  if (!Object.hasOwn(wantedFormats, dtype)) fail('option.invalid', { name: 'dtype', reason: `${dtype} is not known` })
  const wanted = wantedFormats[dtype]
  return wanted ? { wanted } : {}
}

function buildGraph(architecture: Architecture, model: ModelFacts, catalog: Catalog): GraphData {
  const graph = new Graph((tensor) => catalog.tensors.get(tensor)?.shape)
  sampleFrom(graph, architecture.build(graph, model))
  return graph.finish()
}

function storageCosts(graph: GraphData, { traits }: Backend, catalog: Catalog) {
  const blockBytes = graph.caches.reduce((sum, layer) => sum + traits.cacheBlockBytes(layer), 0)
  let weightBytes = 0
  for (const { format, shape } of catalog.tensors.values()) {
    const columns = shape.at(-1) ?? 1
    weightBytes += rowBytes(format, columns) * shape.slice(0, -1).reduce((a, b) => a * b, 1)
  }
  return { blockBytes, blockSize: traits.blockSize, weightBytes }
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

function engineFacts(
  { config, generationConfig }: Checkpoint,
  architecture: Architecture,
  backend: Backend,
  program: Program,
): EngineFacts {
  const { vocabulary, context, topTokens } = program.limits
  return {
    architecture: architectureName(config) ?? architecture.names[0],
    vocabulary,
    maxTotalTokens: context,
    maxTopTokens: Math.min(maxTopTokens, topTokens),
    backend: backend.traits.name,
    dtype: dtypeOf(program),
    eosIds: readEosIds(config, generationConfig),
  }
}

function architectureName(config: unknown): string | undefined {
  return (config as { architectures?: readonly string[] }).architectures?.[0]
}

const dtypeNames: Readonly<Partial<Record<FormatName, string>>> = { f32: 'float32', bf16: 'bfloat16', f16: 'float16' }

/** The format that most of the weights are kept in, in the words of the `dtype` option where it has one. */
function dtypeOf({ weights }: Program): string {
  const bytes = new Map<FormatName, number>()
  for (const w of weights) bytes.set(w.format, (bytes.get(w.format) ?? 0) + w.bytes)
  const [format] = [...bytes].reduce((most, entry) => (entry[1] > most[1] ? entry : most))
  return dtypeNames[format] ?? format
}
