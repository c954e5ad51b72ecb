import { fail } from '../base/errors.ts'
import { isRecord } from '../base/record.ts'
import type { FormatName } from '../tensor/format.ts'
import type { MapFile, StoredTensor } from './catalog.ts'
import { openFile, type WeightFile } from './file.ts'
import { parseJson } from './json.ts'
import { elementCount, maxNameLength, maxTensors, storedTensor } from './stored.ts'

/** Longest header read; about a hundred bytes a tensor are usual. */
export const maxHeaderBytes = 2 ** 25

/** `__metadata__` and tensors, and in a tensor its shape: nothing in the format nests deeper. */
const headerLimits = { depth: 3, values: 12 * maxTensors, distinct: true } as const

const maxDimensions = 8
/** Longest name of a type, of those that are not known too. */
const maxTypeLength = 32

const formatOf: ReadonlyMap<string, FormatName> = new Map([
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
])

const elementBits: Readonly<Record<string, number>> = {
  ...{
    F64: 64,
    F32: 32,
    F16: 16,
    BF16: 16,
    C64: 64,
    F8_E4M3: 8,
    F8_E5M2: 8,
    F8_E8M0: 8,
    F6_E2M3: 6,
    F6_E3M2: 6,
    F4: 4,
  },
  ...{ I64: 64, I32: 32, I16: 16, I8: 8, U64: 64, U32: 32, U16: 16, U8: 8, BOOL: 8 },
}

/** A tensor of a type that no weight has here: buffers of integers and the like. */
export interface OtherTensor {
  readonly name: string
  readonly file: string
  /** As the file says it, such as `I64`. */
  readonly dtype: string
  readonly shape: readonly number[]
  bytes(): Uint8Array
}

export interface Safetensors {
  readonly path: string
  /** In the order of their data. */
  readonly tensors: readonly StoredTensor[]
  readonly others: readonly OtherTensor[]
  close(): void
}

/** Opens a file of the safetensors format; throws `weights.malformed` or `model.not_found`. */
export function openSafetensors(path: string, mapFile?: MapFile): Safetensors {
  const file = openFile(path, mapFile)
  try {
    return { path, ...parseSafetensors(file), close: () => file.close() }
  } catch (error) {
    file.close()
    throw error
  }
}

interface Entry {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  /** Byte range in the data that follows the header. */
  readonly begin: number
  readonly end: number
}

/** Reads and checks the header; the data is not touched. */
export function parseSafetensors(file: WeightFile): Pick<Safetensors, 'tensors' | 'others'> {
  const malformed = malformedIn(file.path)
  const { header, dataStart } = readHeader(file, malformed)
  const members = Object.entries(header).filter(([name]) => name !== '__metadata__')
  if (members.length > maxTensors) malformed(`more than ${maxTensors} tensors`, 8)
  const entries = members.map(([name, value]) => readEntry(name, value, dataStart, malformed))
  checkCoverage(entries, file.size - dataStart, dataStart, malformed)

  const tensors: StoredTensor[] = []
  const others: OtherTensor[] = []
  for (const { name, dtype, shape, begin, end } of entries) {
    const format = formatOf.get(dtype)
    const offset = dataStart + begin
    if (format) tensors.push(storedTensor(file, { name, offset, format, shape }, end - begin))
    else others.push({ name, file: file.path, dtype, shape, bytes: () => file.bytes(offset, end - begin) })
  }
  return { tensors, others }
}

type Malformed = (reason: string, offset: number, tensor?: string, cause?: unknown) => never

const malformedIn =
  (file: string): Malformed =>
  (reason, offset, tensor, cause) =>
    fail('weights.malformed', { file, reason, offset, tensor: tensor ?? null }, cause)

/** The first eight bytes are the length of the JSON that follows them; the data follows that. */
function readHeader(file: WeightFile, malformed: Malformed) {
  if (file.size < 8) malformed('too short for a safetensors file', 0)
  const head = file.bytes(0, 8)
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true)
  if (length > BigInt(file.size - 8)) malformed(`the header is ${length} bytes long, past the end of the file`, 0)
  if (length > BigInt(maxHeaderBytes)) malformed(`the header is ${length} bytes long; ${maxHeaderBytes} are allowed`, 0)
  const header = parseHeader(file.bytes(8, Number(length)), malformed)
  return { header, dataStart: 8 + Number(length) }
}

function parseHeader(bytes: Uint8Array, malformed: Malformed): Readonly<Record<string, unknown>> {
  let header: unknown
  try {
    header = parseJson(bytes, headerLimits)
  } catch (error) {
    malformed(`the header cannot be read: ${error instanceof Error ? error.message : error}`, 8, undefined, error)
  }
  return isRecord(header) ? header : malformed('the header is no JSON object', 8)
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const areSizes = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every(isSize)

function readEntry(name: string, value: unknown, dataStart: number, malformed: Malformed): Entry {
  if (name.length > maxNameLength) malformed(`a name of ${name.length} characters`, 8)
  if (!isRecord(value)) malformed('the header describes no tensor here', 8, name)
  const { dtype, shape, data_offsets: range } = value
  if (typeof dtype !== 'string' || dtype.length > maxTypeLength) malformed('dtype is no short string', 8, name)
  if (!areSizes(shape)) malformed('shape is no list of sizes', 8, name)
  if (shape.length > maxDimensions) malformed(`more than ${maxDimensions} dimensions`, 8, name)
  if (!areSizes(range) || range.length !== 2) malformed('data_offsets are not two offsets', 8, name)
  const [begin, end] = range as readonly [number, number]
  const bits = Object.hasOwn(elementBits, dtype) ? elementBits[dtype] : undefined
  if (bits !== undefined && elementCount([...shape, bits]) !== 8 * (end - begin)) {
    malformed(`${end - begin} bytes of data for ${dtype} of shape [${shape}]`, dataStart + begin, name)
  }
  return { name, dtype, shape, begin, end }
}

/** The format demands that the tensors fill the data from the first byte to the last, without holes and overlaps. */
function checkCoverage(entries: Entry[], dataBytes: number, dataStart: number, malformed: Malformed): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let covered = 0
  for (const { name, begin, end } of entries) {
    if (begin !== covered || end < begin)
      malformed('data overlaps another tensor or leaves a hole', dataStart + begin, name)
    if (end > dataBytes) malformed('data ends past the end of the file', dataStart + begin, name)
    covered = end
  }
  if (covered !== dataBytes) malformed(`${dataBytes - covered} bytes belong to no tensor`, dataStart + covered)
}
