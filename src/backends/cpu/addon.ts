import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { fail } from '../../base/errors.ts'
import { tableHash } from '../../ops/header.ts'

/** Objects that only the addon looks into; each kind is tagged and checked there. */
export interface DeviceHandle {
  readonly device: unique symbol
}
export interface ArenaHandle {
  readonly arena: unique symbol
}
export interface PlanHandle {
  readonly plan: unique symbol
}

/** One stored tensor of a weight; `bytes` is read on the compute threads until the upload resolves. */
export interface UploadPart {
  readonly bytes: Uint8Array
  readonly rows: number
  readonly format: number
}

export interface Upload {
  readonly offset: number
  readonly format: number
  readonly layout: number
  readonly rows: number
  readonly columns: number
  readonly parts: readonly UploadPart[]
}

/** The whole surface of `native/napi`. Every function throws an Error whose message is a sentence. */
export interface Addon {
  /** Hash of the op table it was built from, and the instruction sets this processor has, best last. */
  info(): { readonly hash: number; readonly isas: readonly string[] }
  /** Also the nanoseconds that each instruction of a plan has taken, over all steps so far. */
  info(plan: PlanHandle): { readonly nanoseconds: readonly number[] }
  /** `cpus`: processors to keep the threads on, one each, over and over. */
  open(threads: number, isa: string, cpus?: readonly number[]): DeviceHandle
  close(device: DeviceHandle): void
  map(path: string): ArrayBuffer
  /** Zeroed memory, of these NUMA nodes in turn; `close` detaches the buffer and frees it. */
  reserve(
    device: DeviceHandle,
    bytes: number,
    nodes?: readonly number[],
  ): { readonly buffer: ArrayBuffer; readonly handle: ArenaHandle }
  upload(device: DeviceHandle, arena: ArenaHandle, upload: Upload): Promise<number>
  compile(
    device: DeviceHandle,
    words: Int32Array,
    weights: ArenaHandle,
    activations: ArenaHandle,
    cache: ArenaHandle,
  ): PlanHandle
  run(device: DeviceHandle, plan: PlanHandle, frame: ArrayBuffer): Promise<number>
}

const file = fileURLToPath(new URL('../../../build/loquent.node', import.meta.url))

/** Loads the native addon; throws `backend.unavailable` when it is not built, cannot load, or is older than the op table. */
export function loadAddon(): Addon {
  let addon: Addon
  try {
    addon = createRequire(import.meta.url)(file) as Addon
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error)
    const reason = `the cpu backend needs its native addon; build it with a C++20 compiler by \`npm run build\` (${why})`
    return fail('backend.unavailable', { reason }, error)
  }
  if (addon.info().hash !== tableHash()) {
    fail('backend.unavailable', { reason: 'the native addon is older than the op table; run `npm run build` again' })
  }
  return addon
}
