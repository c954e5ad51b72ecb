import { fail } from '../base/errors.ts'
import type { FormatName } from '../tensor/format.ts'
import type { MapFile, StoredTensor } from './catalog.ts'
import { Cursor } from './cursor.ts'
import { openFile, type WeightFile } from './file.ts'
import { type GgufMetadata, metadataLimits, readMetadata } from './gguf-metadata.ts'
import { maxNameLength, maxTensors, storedBytes, storedTensor } from './stored.ts'

/** Longest metadata and tensor list read, together. */
export const maxGgufHeaderBytes = 2 ** 28

const magic = 0x46554747 // "GGUF"
const maxDimensions = 4
const defaultAlignment = 32

/** Numbers of ggml's types. */
const formatOf: Readonly<Record<number, FormatName>> = {
  ...{ 0: 'f32', 1: 'f16', 30: 'bf16' },
  ...{ 2: 'q4_0', 3: 'q4_1', 6: 'q5_0', 7: 'q5_1', 8: 'q8_0' },
  ...{ 10: 'q2_k', 11: 'q3_k', 12: 'q4_k', 13: 'q5_k', 14: 'q6_k' },
}

const refusedTypes: Readonly<Record<number, string>> = {
  ...{ 9: 'Q8_1', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS', 18: 'IQ3_XXS', 19: 'IQ1_S', 20: 'IQ4_NL', 21: 'IQ3_S' },
  ...{ 22: 'IQ2_S', 23: 'IQ4_XS', 29: 'IQ1_M', 24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64' },
  ...{ 34: 'TQ1_0', 35: 'TQ2_0', 39: 'MXFP4', 40: 'NVFP4', 41: 'Q1_0' },
}

export interface Gguf {
  readonly path: string
  readonly metadata: GgufMetadata
  /** By the names of the file (`blk.0.attn_q.weight`), in its order; shapes are outermost first. */
  readonly tensors: readonly StoredTensor[]
  close(): void
}

/** Opens a GGUF file, version 2 or 3; throws `weights.malformed`, `weights.format` or `model.not_found`. */
export function openGguf(path: string, mapFile?: MapFile): Gguf {
  const file = openFile(path, mapFile)
  try {
    return { path, ...parseGguf(file), close: () => file.close() }
  } catch (error) {
    file.close()
    throw error
  }
}

/** Reads and checks metadata and tensor list; the data is not touched. */
export function parseGguf(file: WeightFile): Pick<Gguf, 'metadata' | 'tensors'> {
  const cursor = new Cursor(file, maxGgufHeaderBytes)
  checkVersion(cursor)
  const tensorCount = cursor.size('number of tensors', maxTensors)
  const pairs = cursor.size('number of key-value pairs', metadataLimits.pairs)
  const metadata = readMetadata(cursor, pairs)
  const alignment = readAlignment(cursor, metadata)
  const infos = readInfos(cursor, tensorCount, alignment)
  const dataStart = Math.ceil(cursor.offset / alignment) * alignment
  checkPlaces(file, infos, dataStart)
  const tensors = infos.map((info) => storedTensor(file, { ...info, offset: dataStart + info.offset }, info.length))
  return { metadata, tensors }
}

function checkVersion(cursor: Cursor): void {
  if (cursor.remaining < 24 || cursor.u32() !== magic) cursor.fail('not a GGUF file', 0)
  const version = cursor.u32()
  if (version >= 2 ** 24) cursor.fail('big-endian GGUF is not supported', 4)
  if (version !== 2 && version !== 3) cursor.fail(`GGUF version ${version} is not supported`, 4)
}

function readAlignment(cursor: Cursor, metadata: GgufMetadata): number {
  const alignment = metadata.get('general.alignment') ?? defaultAlignment
  if (typeof alignment !== 'number' || !Number.isInteger(Math.log2(alignment)) || alignment < 1) {
    cursor.fail(`general.alignment is ${String(alignment)}, no power of two`)
  }
  return alignment
}

/** A tensor with its offset in the data. */
interface Info {
  readonly name: string
  readonly format: FormatName
  readonly shape: readonly number[]
  readonly offset: number
  readonly length: number
}

function readInfos(cursor: Cursor, count: number, alignment: number): readonly Info[] {
  const infos = new Map<string, Info>()
  for (let i = 0; i < count; i++) {
    const from = cursor.offset
    const name = cursor.string('the name of a tensor', maxNameLength)
    cursor.tensor = name
    if (infos.has(name)) cursor.fail('the name appears twice', from)
    infos.set(name, readInfo(cursor, name, alignment))
    cursor.tensor = null
  }
  return [...infos.values()]
}

function readInfo(cursor: Cursor, name: string, alignment: number): Info {
  const from = cursor.offset
  const dimensions = cursor.u32()
  if (dimensions < 1 || dimensions > maxDimensions) cursor.fail(`${dimensions} dimensions`, from)
  const shape: number[] = []
  // The file has the innermost size first.
  for (let i = 0; i < dimensions; i++) shape.unshift(cursor.size('a dimension', Number.MAX_SAFE_INTEGER))
  const format = readFormat(cursor, name)
  const length = storedBytes(format, shape)
  if (length === undefined) cursor.fail(`shape [${shape}] is no whole number of ${format} blocks, or too large`, from)
  const offset = cursor.size('the offset of the data', Number.MAX_SAFE_INTEGER)
  if (offset % alignment !== 0) cursor.fail(`data at ${offset}, no multiple of ${alignment}`, from)
  return { name, format, shape, offset, length }
}

function readFormat(cursor: Cursor, tensor: string): FormatName {
  const number = cursor.u32()
  const format = formatOf[number]
  return (
    format ?? fail('weights.format', { file: cursor.path, tensor, format: refusedTypes[number] ?? `type ${number}` })
  )
}

/** All data lies in the file, and no two tensors share bytes. */
function checkPlaces(file: WeightFile, infos: readonly Info[], dataStart: number): void {
  const malformed = (reason: string, { name, offset }: Info): never =>
    fail('weights.malformed', { file: file.path, reason, tensor: name, offset: dataStart + offset })
  let covered = 0
  for (const info of infos.toSorted((a, b) => a.offset - b.offset || a.length - b.length)) {
    if (info.length > file.size - dataStart - info.offset) malformed('data ends past the end of the file', info)
    if (info.offset < covered) malformed('data overlaps that of another tensor', info)
    covered = info.offset + info.length
  }
}
