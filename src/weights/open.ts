import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fail, LoquentError } from '../base/errors.ts'
import type { Catalog, MapFile, StoredTensor } from './catalog.ts'
import { type GgufModel, listModel, readConfig, type SplitModel, type WeightMap } from './directory.ts'
import { type Gguf, openGguf } from './gguf.ts'
import { ggufConfig } from './gguf-config.ts'
import type { GgufMetadata } from './gguf-metadata.ts'
import { llamaTensorName } from './gguf-names.ts'
import { type OtherTensor, openSafetensors, type Safetensors } from './safetensors.ts'
import { maxTensors } from './stored.ts'
import { openTorch } from './torch.ts'

/** A model as it lies on disk: tensors by Hugging Face name, and a configuration in the shape of config.json. */
export interface Checkpoint {
  readonly catalog: Catalog
  /** config.json as parsed, or made from the metadata of a GGUF file. */
  readonly config: unknown
  /** generation_config.json, where there is one. */
  readonly generationConfig?: unknown
  /** Metadata of a GGUF file, the tokenizer's included. */
  readonly gguf?: GgufMetadata
  /** Tensors of integers and the like, which are in no catalog. */
  readonly others: readonly OtherTensor[]
  /** Closes the catalog. */
  close(): void
}

/**
 * Opens the model at `path`: a directory with config.json and safetensors (or PyTorch) files, a GGUF file, or a directory with
 * one GGUF file. Only headers are read. Throws `model.not_found`, `model.config`, `weights.malformed`, `weights.format`
 * (a floating-point type that is not supported) or `weights.missing` (a shard or a tensor the index names).
 */
export function openCheckpoint(path: string, mapFile?: MapFile): Checkpoint {
  const model = find(path)
  return model.kind === 'gguf' ? openGgufModel(model.file, mapFile) : openDirectory(path, model, mapFile)
}

/** What to open at `path`; errors of the system, such as no permission, become ours. */
function find(path: string): SplitModel | GgufModel {
  try {
    if (statSync(path).isDirectory()) return listModel(path)
  } catch (error) {
    if (error instanceof LoquentError) throw error
    fail('model.not_found', { path, reason: error instanceof Error ? error.message : String(error) }, error)
  }
  if (path.endsWith('.safetensors')) {
    fail('model.not_found', { path, reason: 'a safetensors file has no configuration; give the directory it is in' })
  }
  return { kind: 'gguf', file: path }
}

function openGgufModel(path: string, mapFile?: MapFile): Checkpoint {
  const gguf = openGguf(path, mapFile)
  try {
    const parts = gguf.metadata.get('split.count')
    if (typeof parts === 'number' && parts > 1) {
      fail('weights.missing', {
        where: path,
        what: `this is one of ${parts} parts of a model; merge them into one file`,
      })
    }
    const tensors = byName(gguf.metadata.get('general.architecture') === 'llama' ? renamed(gguf) : gguf.tensors)
    const catalog = { tensors, close: gguf.close }
    return { catalog, config: ggufConfig(gguf.metadata, tensors), gguf: gguf.metadata, others: [], close: gguf.close }
  } catch (error) {
    gguf.close()
    throw error
  }
}

const renamed = (gguf: Gguf): readonly StoredTensor[] =>
  gguf.tensors.map((tensor) => ({ ...tensor, name: llamaTensorName(tensor.name) }))

const openFileOf = { safetensors: openSafetensors, torch: openTorch }

function openDirectory(path: string, { kind, files, index }: SplitModel, mapFile?: MapFile): Checkpoint {
  const config = readConfig(path, 'config.json')
  if (config === undefined) fail('model.not_found', { path, reason: 'it has no config.json' })
  const generationConfig = readConfig(path, 'generation_config.json')
  const opened: Safetensors[] = []
  const close = () => {
    for (const file of opened) file.close()
  }
  try {
    for (const file of files) opened.push(openFileOf[kind](join(path, file), mapFile))
    const others = opened.flatMap((file) => file.others)
    for (const other of others) refuseFloats(other)
    const tensors = byName(opened.flatMap((file) => file.tensors))
    if (index) checkIndex(path, index, [...tensors.values(), ...others])
    const catalog = { tensors, close }
    return { catalog, config, ...(generationConfig === undefined ? {} : { generationConfig }), others, close }
  } catch (error) {
    close()
    throw error
  }
}

/** A model stored in floats of an unknown kind cannot run; integers may be buffers that nothing needs. */
function refuseFloats({ file, name, dtype }: OtherTensor): void {
  if (/^[FC]/.test(dtype)) fail('weights.format', { file, tensor: name, format: dtype })
}

function byName(tensors: readonly StoredTensor[]): ReadonlyMap<string, StoredTensor> {
  if (tensors.length > maxTensors) {
    fail('weights.malformed', { file: tensors[0]!.file, reason: `more than ${maxTensors} tensors` })
  }
  const map = new Map<string, StoredTensor>()
  for (const tensor of tensors) {
    const { name, file, offset } = tensor
    const first = map.get(name)
    if (first) fail('weights.malformed', { file, reason: `also in ${first.file}`, tensor: name, offset })
    map.set(name, tensor)
  }
  return map
}

function checkIndex(path: string, index: WeightMap, found: readonly { name: string; file: string }[]): void {
  const places = new Map(found.map(({ name, file }) => [name, file]))
  for (const [name, shard] of index) {
    const where = join(path, shard)
    if (places.get(name) !== where)
      fail('weights.missing', { where, what: `no tensor ${name}, which the index says is here` })
  }
}
