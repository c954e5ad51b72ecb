import { fail } from '../base/errors.ts'
import type { Architecture } from './architecture.ts'
import { llama } from './llama.ts'

const architectures: readonly Architecture[] = [llama as Architecture]

/** The architecture that a config.json names in `architectures`; throws `model.architecture`. */
export function findArchitecture(config: unknown): Architecture {
  const names = (config as { architectures?: unknown } | null)?.architectures
  const name = Array.isArray(names) && typeof names[0] === 'string' ? names[0] : undefined
  const found = architectures.find((a) => name !== undefined && a.names.includes(name))
  const supported = architectures.flatMap((a) => a.names).join(', ')
  return found ?? fail('model.architecture', { name: name ?? '(none named in config.json)', supported })
}
