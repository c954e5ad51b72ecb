import { fail } from '../base/errors.ts'

/** Small files that a tokenizer, a configuration or a template may be in. */
const companions = ['*.json', '*.jinja', '*.model', '*.txt', '*.tiktoken']
/** Safetensors that are no weights of the model: what training left, an adapter's, and the copy in another naming. */
const noWeights = /(^|\/)(adapter_|consolidated)|arguments|args|training/

/** Whether `path` fits `pattern`, where `*` is any run of characters, `/` too, and `?` any one. */
export function matches(path: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(path)
}

const matchesAny = (path: string, patterns: readonly string[]) => patterns.some((pattern) => matches(path, pattern))

export interface Choice {
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
}

/**
 * What a model needs of `paths`: its safetensors files, or else its `.bin` files, or else its one `.gguf` file, and the small
 * files beside them; or just what `include` names. Throws `hub.not_found` when that leaves no weights, or nothing.
 */
export function chooseFiles(
  model: string,
  paths: readonly string[],
  { include, exclude = [] }: Choice,
): readonly string[] {
  const offered = paths.filter((path) => !matchesAny(path, exclude))
  if (include) {
    const chosen = offered.filter((path) => matchesAny(path, include))
    return chosen.length > 0 ? chosen : fail('hub.not_found', { model, reason: `no file matches ${include.join(' ')}` })
  }
  const top = offered.filter((path) => !path.includes('/'))
  const weights = chooseWeights(model, top)
  return offered.filter((path) => weights.has(path) || isCompanion(path, weights))
}

function chooseWeights(model: string, top: readonly string[]): ReadonlySet<string> {
  const safetensors = top.filter((path) => path.endsWith('.safetensors') && !noWeights.test(path))
  if (safetensors.length > 0) return new Set(safetensors)
  const pickled = top.filter((path) => /^pytorch_model.*\.bin$/.test(path))
  if (pickled.length > 0) return new Set(pickled)
  const gguf = top.filter((path) => path.endsWith('.gguf'))
  if (gguf.length > 1)
    fail('hub.not_found', { model, reason: `it has ${gguf.length} .gguf files; include one of them by name` })
  return gguf.length === 1
    ? new Set(gguf)
    : fail('hub.not_found', { model, reason: 'it has no weights in a format that is read' })
}

/** Templates have a folder; everything else is at the top. An index of files that were not chosen would only mislead. */
function isCompanion(path: string, weights: ReadonlySet<string>): boolean {
  if (path.startsWith('additional_chat_templates/')) return path.endsWith('.jinja')
  if (path.includes('/') || !matchesAny(path, companions)) return false
  const index = path.match(/\.(safetensors|bin)\.index\.json$/)
  return !index || [...weights].some((file) => file.endsWith(`.${index[1]}`))
}
