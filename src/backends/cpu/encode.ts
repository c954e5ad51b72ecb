import { assert } from '../../base/assert.ts'
import { type Instruction, layouts, type Place, type Program, spaces } from '../../graph/program.ts'
import { domains } from '../../ops/domain.ts'
import { frameLayout } from '../../ops/frame.ts'
import {
  cacheWords,
  fieldNames,
  instructionWords,
  limitNames,
  lineBytes,
  operandWords,
  programMagic,
  programWords,
  tableHash,
} from '../../ops/header.ts'
import { opShape } from '../../ops/table.ts'
import { formats } from '../../tensor/format.ts'
import { kvFormats } from '../../tensor/kv-format.ts'
import { cacheBlockBytes } from './storage.ts'

type Offsets = ReturnType<typeof frameLayout>['offsets']

/** Bytes as whole lines, the unit of every offset in an encoded program. */
function lines(bytes: number): number {
  assert(bytes % lineBytes === 0, `encode: ${bytes} is not a multiple of ${lineBytes}`)
  assert(bytes / lineBytes <= 0x7fffffff, `encode: ${bytes} bytes are out of reach of a 32-bit line number`)
  return bytes / lineBytes
}

const linesAround = (bytes: number) => lines(Math.ceil(bytes / lineBytes) * lineBytes)

/**
 * A program as 32-bit words that native code reads in place: header, limits, frame field offsets, caches, then one
 * record an instruction (op code, words that follow, operands and attributes in table order). See `ops/header.ts`.
 */
export function encodeProgram(program: Program): Int32Array {
  const { limits, arenas } = program
  const { offsets, bytes: frameBytes } = frameLayout(limits)
  const records = program.instructions.flatMap((i) => encodeInstruction(i, offsets))
  const caches = encodeCaches(program)
  const fixed = programWords.length + limitNames.length + fieldNames.length
  const header: Record<(typeof programWords)[number], number> = {
    magic: programMagic,
    hash: tableHash(),
    words: fixed + caches.length + records.length,
    instructions: program.instructions.length,
    caches: program.caches.length,
    weightLines: linesAround(arenas.weights),
    activationLines: linesAround(arenas.activations),
    cacheLines: linesAround(arenas.cache),
    frameLines: linesAround(frameBytes),
  }
  return Int32Array.from([
    ...programWords.map((w) => header[w]),
    ...limitNames.map((l) => limits[l]),
    ...fieldNames.map((f) => lines(offsets[f])),
    ...caches,
    ...records,
  ])
}

/** Layers lie one after another in the cache arena, each with all its blocks. */
function encodeCaches({ caches, limits }: Program): number[] {
  let offset = 0
  return caches.flatMap((layer) => {
    const block = linesAround(cacheBlockBytes(layer, layer.format))
    const { kvHeads, headDim } = layer
    const record = { offset, blockLines: block, kvHeads, headDim, format: kvFormats[layer.format] }
    offset += block * limits.blocks
    return cacheWords.map((w) => record[w])
  })
}

function encodeInstruction(instruction: Instruction, offsets: Offsets): number[] {
  const shape = opShape(instruction.op)
  const operands = Object.keys(shape.operands).flatMap((o) => encodeOperand(instruction.places[o], offsets))
  const attributes = Object.entries(shape.attributes).map(([name, type]) => {
    const value = instruction.attributes[name]
    assert(value !== undefined, `encode: ${instruction.name} has no attribute ${name}`)
    if (type === 'f32') return floatBits(Number(value))
    if (type === 'i32') return Number(value)
    const index = type.indexOf(String(value))
    assert(index >= 0, `encode: ${instruction.name}: ${name} cannot be ${value}`)
    return index
  })
  return [shape.id, instructionWords(shape), ...operands, ...attributes]
}

function encodeOperand(place: Place | undefined, offsets: Offsets): number[] {
  if (!place) return new Array<number>(operandWords).fill(0)
  const bytes = place.space === 'frame' && place.field ? offsets[place.field] : place.offset
  const storage = formats[place.format].id | (layouts[place.layout] << 8)
  const { rows, width, stride, column } = place
  return [spaces[place.space], lines(bytes), domains[place.domain], rows, width, stride, column, storage]
}

const floats = new Float32Array(1)
const words = new Int32Array(floats.buffer)

function floatBits(value: number): number {
  floats[0] = value
  return words[0]!
}
