import { availableParallelism } from 'node:os'
import { assert } from '../../base/assert.ts'
import { fail } from '../../base/errors.ts'
import { layouts, type PlacedWeight, type Program } from '../../graph/program.ts'
import type { Frame } from '../../ops/frame.ts'
import { dequantize } from '../../tensor/dequantize.ts'
import { formats } from '../../tensor/format.ts'
import type { StoredTensor } from '../../weights/catalog.ts'
import type { Arena, ArenaSpace, Arenas, Backend, Plan, StepStats, Traits } from '../contract.ts'
import {
  type Addon,
  type ArenaHandle,
  type DeviceHandle,
  loadAddon,
  type PlanHandle,
  type UploadPart,
} from './addon.ts'
import { encodeProgram } from './encode.ts'
import { type Numa, numaPlace } from './numa.ts'
import { storagePolicy } from './storage.ts'

/** Threads taken when none are asked for: decoding is bound by memory, which this many saturate. */
const mostDefaultThreads = 64

export interface CpuOptions {
  /** Compute threads; the processors this process may use by default. */
  readonly threads?: number
  /** Instruction set to force (generic, avx2, avx2_vnni, avx512_vnni, avx512); the best one here by default. */
  readonly isa?: string
  /** Processors to keep the threads on, one each; also how many threads there are, unless that is said. */
  readonly affinity?: readonly number[]
  /** Where memory, and with a node the threads, are kept on a machine of several nodes; the system decides by default. */
  readonly numa?: Numa
}

interface CpuArena extends Arena {
  readonly handle: ArenaHandle
}

interface CpuPlan extends Plan {
  readonly handle: PlanHandle
}

/**
 * Opens the cpu backend: its threads are started here and end with `close`. Throws `backend.unavailable` without an
 * addon, `option.invalid` for an instruction set, a thread count or a node that cannot be had.
 */
export function openCpuBackend(options: CpuOptions = {}): Backend {
  const addon = loadAddon()
  const { isas } = addon.info()
  const isa = options.isa ?? isas.at(-1)!
  const place = options.numa === undefined ? undefined : numaPlace(options.numa)
  const affinity = options.affinity ?? place?.processors ?? []
  const threads = options.threads ?? (affinity.length || Math.min(availableParallelism(), mostDefaultThreads))
  if (!isas.includes(isa)) fail('option.invalid', { name: 'isa', reason: `${isa} is not one of ${isas.join(', ')}` })
  const device = guard('option.invalid', () => addon.open(threads, isa, affinity))
  return new CpuBackend(addon, device, { ...storagePolicy, name: 'cpu', detail: isa, threads }, place?.nodes)
}

class CpuBackend implements Backend {
  readonly traits: Traits
  readonly #addon: Addon
  readonly #device: DeviceHandle
  readonly #nodes: readonly number[] | undefined

  constructor(addon: Addon, device: DeviceHandle, traits: Traits, nodes: readonly number[] | undefined) {
    this.#nodes = nodes
    this.traits = traits
    this.#addon = addon
    this.#device = device
  }

  mapFile = (path: string): ArrayBuffer => guard('backend.failed', () => this.#addon.map(path))

  reserve(space: ArenaSpace, bytes: number): Arena {
    const { buffer, handle } = guard('engine.memory', () => this.#addon.reserve(this.#device, bytes, this.#nodes))
    const arena: CpuArena = { space, buffer, handle }
    return arena
  }

  async upload(to: PlacedWeight, arena: Arena, from: readonly StoredTensor[]): Promise<void> {
    const { rows, columns } = to.weight
    const data = to.weight.data ?? (rows === 1 && from.length > 1 ? joinedVector(columns, from) : undefined)
    const parts = data ? [constantPart(data, rows)] : from.map((t) => storedPart(t, columns))
    const { offset } = to
    const place = { offset, format: formats[to.format].id, layout: layouts[to.layout], rows, columns, parts }
    await guardAsync(() => this.#addon.upload(this.#device, handleOf(arena), place))
  }

  compile(program: Program, arenas: Arenas): Plan {
    const words = encodeProgram(program)
    const { weights, activations, cache } = arenas
    const handle = guard('backend.failed', () =>
      this.#addon.compile(this.#device, words, handleOf(weights), handleOf(activations), handleOf(cache)),
    )
    const plan: CpuPlan = { program, handle }
    return plan
  }

  async run(plan: Plan, frame: Frame): Promise<StepStats> {
    const { handle } = plan as CpuPlan
    return { nanoseconds: await guardAsync(() => this.#addon.run(this.#device, handle, frame.buffer)) }
  }

  profile = (plan: Plan): readonly number[] => this.#addon.info((plan as CpuPlan).handle).nanoseconds

  close(): void {
    this.#addon.close(this.#device)
  }
}

function handleOf(arena: Arena): ArenaHandle {
  const { handle } = arena as Partial<CpuArena>
  assert(handle !== undefined, 'the arena belongs to another backend')
  return handle
}

function constantPart(data: Float32Array, rows: number): UploadPart {
  return { bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength), rows, format: formats.f32.id }
}

/** One row out of several stored vectors, such as the biases of merged linears: parts that are no whole rows of it. */
function joinedVector(columns: number, from: readonly StoredTensor[]): Float32Array {
  const row = new Float32Array(columns)
  let at = 0
  for (const tensor of from) {
    const elements = tensor.shape.reduce((a, b) => a * b, 1)
    dequantize(tensor.format, tensor.bytes(), row.subarray(at, at + elements))
    at += elements
  }
  return row
}

function storedPart(tensor: StoredTensor, columns: number): UploadPart {
  const elements = tensor.shape.reduce((a, b) => a * b, 1)
  return { bytes: tensor.bytes(), rows: elements / columns, format: formats[tensor.format].id }
}

function guard<T>(code: 'backend.failed' | 'engine.memory' | 'option.invalid', body: () => T): T {
  try {
    return body()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return fail(code, code === 'option.invalid' ? { name: 'threads', reason } : { reason }, error)
  }
}

async function guardAsync<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    return fail('backend.failed', { reason: error instanceof Error ? error.message : String(error) }, error)
  }
}
