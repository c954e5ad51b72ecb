import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../base/errors.ts'
import { isRecord } from '../base/record.ts'
import { parseJson } from './json.ts'
import { maxNameLength } from './stored.ts'

/** Longest config.json; a hundred times the usual. */
const maxConfigBytes = 2 ** 20
/** Longest model.safetensors.index.json; about a hundred bytes a tensor are usual. */
const maxIndexBytes = 2 ** 25
const jsonLimits = { depth: 64, values: 2 ** 20 }

const wholeFile = 'model.safetensors'
const indexFile = 'model.safetensors.index.json'
const kinds = [
  // Adapters belong to another model, and Mistral's `consolidated` files repeat the others with names of their own.
  { kind: 'safetensors', whole: wholeFile, end: '.safetensors', others: /^(adapter_|consolidated)/ },
  // Other `.bin` files are the state of a training.
  { kind: 'torch', whole: 'pytorch_model.bin', end: '.bin', others: /^(?!pytorch_model)/ },
] as const

/** Which tensor is in which file of the directory. */
export type WeightMap = ReadonlyMap<string, string>

/** Files of one kind that hold a model together: safetensors, or those of PyTorch. */
export interface SplitModel {
  readonly kind: 'safetensors' | 'torch'
  /** Names of files in the directory. */
  readonly files: readonly string[]
  readonly index?: WeightMap
}

export interface GgufModel {
  readonly kind: 'gguf'
  /** Path of the file. */
  readonly file: string
}

/** Finds the weights in a directory: one file, an index and its shards, any safetensors or PyTorch files, or one GGUF file. */
export function listModel(path: string): SplitModel | GgufModel {
  const names = readdirSync(path).sort()
  for (const { kind, whole, end, others } of kinds) {
    if (names.includes(whole)) return { kind, files: [whole] }
    if (names.includes(`${whole}.index.json`)) return { kind, ...listShards(path, `${whole}.index.json`, end, names) }
    const files = names.filter((name) => name.endsWith(end) && !others.test(name))
    if (files.length > 0) return { kind, files }
  }
  return listGguf(path, names)
}

function listShards(path: string, indexFile: string, end: string, names: readonly string[]) {
  const index = readIndex(path, indexFile, end)
  const files = [...new Set(index.values())]
  const absent = files.find((file) => !names.includes(file))
  if (absent !== undefined)
    fail('weights.missing', { where: path, what: `${indexFile} names ${absent}, which is not there` })
  return { files, index }
}

function listGguf(path: string, names: readonly string[]): GgufModel {
  const files = names.filter((name) => name.endsWith('.gguf'))
  if (files.length === 1) return { kind: 'gguf', file: join(path, files[0]!) }
  if (files.length > 1)
    fail('model.not_found', { path, reason: `it has ${files.length} .gguf files; give one of them` })
  const pickled = names.find((name) => /\.(bin|pt|pth|ckpt)$/.test(name))
  const hint =
    pickled === undefined ? '' : `; ${pickled} is of a format that is not supported, convert it to safetensors`
  fail('model.not_found', {
    path,
    reason: `looked for ${wholeFile}, ${indexFile}, *.safetensors and one .gguf file${hint}`,
  })
}

function readIndex(path: string, indexFile: string, end: string): WeightMap {
  const file = join(path, indexFile)
  const malformed = (reason: string): never => fail('weights.malformed', { file, reason })
  const index = readJsonFile(file, maxIndexBytes, malformed)
  const map = isRecord(index) ? index['weight_map'] : undefined
  if (!isRecord(map)) malformed('weight_map is no object')
  const entries = Object.entries(map as Readonly<Record<string, unknown>>)
  if (entries.length === 0) malformed('weight_map is empty')
  for (const [tensor, shard] of entries) {
    if (tensor.length > maxNameLength) malformed(`weight_map has a name of ${tensor.length} characters`)
    // A name with a directory in it would reach outside the model.
    if (typeof shard !== 'string' || !/^[^/\\\0]+$/.test(shard) || !shard.endsWith(end))
      malformed(`weight_map places ${tensor} in no file`)
  }
  return new Map(entries as [string, string][])
}

/** A JSON file of the model, or undefined where it is not there; throws `model.config`. */
export function readConfig(path: string, name: string): unknown {
  const file = join(path, name)
  if (!statSync(file, { throwIfNoEntry: false })) return undefined
  return readJsonFile(file, maxConfigBytes, (reason) => fail('model.config', { reason: `${file}: ${reason}` }))
}

function readJsonFile(file: string, maxBytes: number, malformed: (reason: string) => never): unknown {
  try {
    const { size } = statSync(file)
    if (size > maxBytes) throw new RangeError(`${size} bytes long; ${maxBytes} are allowed`)
    return parseJson(readFileSync(file), jsonLimits)
  } catch (error) {
    malformed(error instanceof Error ? error.message : String(error))
  }
}
