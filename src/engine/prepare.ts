import type { Backend } from '../backends/contract.ts'
import type { BackendOptions } from '../backends/select.ts'
import { fail } from '../base/errors.ts'
import { Graph } from '../graph/graph.ts'
import type { GraphData } from '../graph/node.ts'
import { planProgram } from '../graph/plan.ts'
import type { Program } from '../graph/program.ts'
import type { Architecture, ModelFacts } from '../models/architecture.ts'
import { findArchitecture } from '../models/registry.ts'
import { sampleFrom } from '../sampling/chain.ts'
import type { FormatName } from '../tensor/format.ts'
import type { KvFormat } from '../tensor/kv-format.ts'
import type { Catalog } from '../weights/catalog.ts'
import type { Checkpoint } from '../weights/open.ts'
import { chooseKv, storedBytes } from './kv.ts'
import { chooseLimits, maxTopTokens, type StorageCosts } from './limits.ts'
import { availableMemory } from './memory.ts'
import { readEosIds, withRopeScaling } from './model-config.ts'
import type { EngineFacts, EngineOptions } from './spec.ts'

const wantedFormats: Readonly<Record<NonNullable<EngineOptions['dtype']>, FormatName | undefined>> = {
  auto: undefined,
  float32: 'f32',
  bfloat16: 'bf16',
  float16: 'f16',
}

/** What of an engine's options its backend is opened with. */
export function backendOptions(options: EngineOptions): BackendOptions {
  const { backend = 'auto', threads, isa, affinity, numa, verify } = options
  return {
    backend,
    ...(affinity?.length ? { affinity } : {}),
    ...(numa !== undefined ? { numa } : {}),
    ...(threads ? { threads } : {}),
    ...(isa ? { isa } : {}),
    ...(verify ? { verify } : {}),
  }
}

/** All that can be known of an engine from the headers of its files: what it will run, and how much memory it takes. */
export interface Prepared {
  readonly facts: EngineFacts
  readonly program: Program
  readonly costs: StorageCosts
}

/** Reads a model's configuration, builds its graph and plans it for a backend. Reads and reserves nothing else. */
export function prepare(
  checkpoint: Checkpoint,
  backend: Backend,
  options: EngineOptions,
  available = availableMemory(),
): Prepared {
  checkStretch(options.prefillStretch)
  const json = withRopeScaling(checkpoint.config, options.ropeScaling)
  const { catalog } = checkpoint
  const architecture = findArchitecture(json)
  const model = architecture.config(json)
  const graph = buildGraph(architecture, model, catalog)
  const wanted = wantedFormat(options.dtype)
  const kv = chooseKv(options.kvDtype, wanted.wanted, catalog)
  const costs = { ...storageCosts(graph, backend, catalog, kv), available }
  const limits = chooseLimits(options, model, costs)
  const program = planProgram(graph, limits, backend.traits, (tensor) => catalog.tensors.get(tensor)!.format, {
    ...wanted,
    kv,
    reuse: !options.verify,
  })
  return { facts: engineFacts(checkpoint, architecture, backend, program), program, costs }
}

function checkStretch(stretch = 0): void {
  if (stretch === 0 || (stretch > 1 && Number.isFinite(stretch))) return
  fail('option.invalid', { name: 'prefillStretch', reason: `${stretch} is not a number greater than 1` })
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

function storageCosts(
  graph: GraphData,
  { traits }: Backend,
  catalog: Catalog,
  kv: KvFormat,
): Omit<StorageCosts, 'available'> {
  const blockBytes = graph.caches.reduce((sum, layer) => sum + traits.cacheBlockBytes(layer, kv), 0)
  const weightBytes = [...storedBytes(catalog).values()].reduce((a, b) => a + b, 0)
  return { blockBytes, blockSize: traits.blockSize, weightBytes }
}

function engineFacts(
  { config, generationConfig }: Checkpoint,
  architecture: Architecture,
  backend: Backend,
  program: Program,
): EngineFacts {
  const { vocabulary, context, topTokens, blockSize } = program.limits
  return {
    architecture: architectureName(config) ?? architecture.names[0],
    vocabulary,
    maxTotalTokens: context,
    maxTopTokens: Math.min(maxTopTokens, topTokens),
    blockTokens: blockSize,
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
