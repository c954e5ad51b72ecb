import { errorData, LoquentError } from '../base/errors.ts'
import type { Backend } from './contract.ts'
import { openCpuBackend } from './cpu/backend.ts'
import type { Numa } from './cpu/numa.ts'
import { openReferenceBackend } from './reference/backend.ts'
import { verifying } from './verify.ts'

export type BackendName = 'auto' | 'cpu' | 'reference'

export interface BackendOptions {
  /** `auto`: cpu when its addon loads, otherwise reference, with a notice. */
  readonly backend: BackendName
  readonly threads?: number
  /** Instruction set, instead of the best that the machine has. */
  readonly isa?: string
  /** Processors to keep the threads on. */
  readonly affinity?: readonly number[]
  /** Where memory is kept on a machine of several nodes. */
  readonly numa?: Numa
  /** Check every op of every step against the reference; programs must be planned with `reuse: false`. */
  readonly verify?: boolean
}

/** An open backend, and what its user should be told about the choice. */
export interface OpenedBackend {
  readonly backend: Backend
  readonly notice?: string
}

/** Opens a backend. Throws what the backend throws when it was asked for by name and cannot be had. */
export function openBackend(options: BackendOptions): OpenedBackend {
  const opened = options.backend === 'auto' ? openBest(options) : { backend: openNamed(options.backend, options) }
  return options.verify ? { ...opened, backend: verifying(opened.backend) } : opened
}

function openNamed(name: Exclude<BackendName, 'auto'>, { threads, isa, affinity, numa }: BackendOptions): Backend {
  if (name === 'reference') return openReferenceBackend()
  return openCpuBackend({
    ...(threads !== undefined && { threads }),
    ...(isa !== undefined && { isa }),
    ...(affinity && { affinity }),
    ...(numa !== undefined && { numa }),
  })
}

function openBest(options: BackendOptions): OpenedBackend {
  try {
    return { backend: openNamed('cpu', options) }
  } catch (error) {
    // Only a missing addon is a reason to fall back: a bad option must reach its user.
    if (!(error instanceof LoquentError) || error.code !== 'backend.unavailable') throw error
    const { facts } = errorData(error)
    const reason = String(facts['reason'])
    const notice = `${reason}; until then the reference backend runs, in plain TypeScript and many times slower`
    return { backend: openReferenceBackend(), notice }
  }
}
