import type { Limits } from '../ops/domain.ts'
import { type Encoding, encodedBytes } from '../ops/encoding.ts'
import { opShape, type Rounding } from '../ops/table.ts'
import type { FormatName } from '../tensor/format.ts'
import type { GraphData, Node, Value } from './node.ts'
import type { Place } from './program.ts'
import { rootOf } from './rewrite.ts'

/** Bytes every place is aligned to: a cache line, and the widest vector register. */
export const alignment = 64

export const align = (bytes: number): number => Math.ceil(bytes / alignment) * alignment

/** Where a value's memory is; several values share one when the op table lets an output take over an input. */
interface Storage {
  readonly offset: number
  readonly bytes: number
  readonly stride: number
  /** First column, when the storage was taken over from a view. */
  readonly column: number
  readonly format: FormatName
}

/** The result: a place for any value of the graph (views included), and the size of the arena. */
export interface Placement {
  readonly bytes: number
  place(value: Value): Place
}

/**
 * Gives every activation its place in one arena. A value lives from the node that makes it to the last that reads it;
 * two values share memory when their lives do not overlap. First fit, in order of birth.
 */
export function placeActivations(graph: GraphData, limits: Limits, reuse = true): Placement {
  const lastRead = lastReads(graph)
  const storages = new Map<number, Storage>()
  const live: { storage: Storage; until: number }[] = []
  let bytes = 0

  const allocate = (value: Value, until: number, encoding?: Encoding): void => {
    const stride = strideOf(value, encoding)
    const size = align(rowsOf(value, limits) * stride * 4)
    const storage = {
      offset: firstFit(
        live.map((l) => l.storage),
        size,
      ),
      bytes: size,
      stride,
      column: 0,
      format: encoding ?? ('f32' as const),
    }
    live.push({ storage, until })
    bytes = Math.max(bytes, storage.offset + size)
    storages.set(value.id, storage)
  }

  graph.nodes.forEach((node, index) => {
    const takenHere = new Set<Storage>()
    for (const [name, value] of Object.entries(node.outputs)) {
      const until = lastRead.get(value.id) ?? index
      const encoding = encodingOf(node, name)
      const from = reuse && !encoding ? reusable(node, name, value, index, lastRead, graph) : undefined
      const taken = from && storages.get(rootOf(from).id)
      if (!taken || takenHere.has(taken)) {
        allocate(value, until, encoding)
        continue
      }
      takenHere.add(taken)
      storages.set(value.id, { ...taken, column: taken.column + (from.of?.start ?? 0) })
      const owner = live.find((l) => l.storage.offset === taken.offset)
      if (owner) owner.until = Math.max(owner.until, until)
    }
    if (reuse) for (let i = live.length - 1; i >= 0; i--) if (live[i]!.until <= index) live.splice(i, 1)
  })
  return { bytes, place: (value) => placeOf(value, storages) }
}

/** What an output is rounded to as it is made. */
function encodingOf(node: Node, output: string): Encoding | undefined {
  const { rounded } = opShape(node.op).operands[output]!
  const rounding = rounded && (node.attributes[rounded] as Rounding)
  return rounding && rounding !== 'none' ? rounding : undefined
}

function placeOf(value: Value, storages: ReadonlyMap<number, Storage>): Place {
  const { offset, stride, column, format } = storages.get(rootOf(value).id)!
  return {
    space: 'activations',
    offset,
    domain: value.domain,
    rows: 0,
    width: value.width,
    stride,
    column: column + (value.of?.start ?? 0),
    format,
    layout: 'rows',
  }
}

/**
 * Elements of 4 bytes from one row to the next: whole lines, an odd number of them. Products read and write a column of
 * many rows at once, and where rows are an even number of lines apart they share few sets of a cache.
 */
function strideOf(value: Value, encoding: Encoding | undefined): number {
  const bytes = encoding ? encodedBytes(encoding, value.width) : 4 * value.width
  return ((Math.ceil(bytes / alignment) | 1) * alignment) / 4
}

const rowsOf = (v: Value, l: Limits): number => (v.domain === 'samples' ? l.samples : l.tokens)

/** Index of the last node that reads each value, or any view of it. */
function lastReads(graph: GraphData): Map<number, number> {
  const last = new Map<number, number>()
  graph.nodes.forEach((node, index) => {
    for (const o of Object.values(node.inputs)) if (o?.kind === 'value') last.set(rootOf(o).id, index)
  })
  return last
}

/** The input whose memory this output may take over: allowed by the table, same shape, and read nowhere after. */
function reusable(
  node: Node,
  output: string,
  value: Value,
  index: number,
  lastRead: ReadonlyMap<number, number>,
  graph: GraphData,
): Value | undefined {
  const name = opShape(node.op).operands[output]?.reuses
  const input = name === undefined ? undefined : node.inputs[name]
  if (input?.kind !== 'value' || input.width !== value.width || input.domain !== value.domain) return undefined
  if (!input.of) return lastRead.get(input.id) === index ? input : undefined
  const overlaps = (o: Value) =>
    rootOf(o).id === rootOf(input).id &&
    startOf(o) < startOf(input) + input.width &&
    startOf(input) < startOf(o) + o.width
  const readLater = graph.nodes.slice(index + 1).some((n) => valuesOf(n).some(overlaps))
  return readLater ? undefined : input
}

const startOf = (v: Value): number => v.of?.start ?? 0
const valuesOf = (n: Node): Value[] => Object.values(n.inputs).filter((o): o is Value => o?.kind === 'value')

/** Lowest offset with `size` free bytes between the live storages. */
function firstFit(live: readonly Storage[], size: number): number {
  let offset = 0
  for (const s of [...live].sort((a, b) => a.offset - b.offset)) {
    if (offset + size <= s.offset) return offset
    offset = Math.max(offset, s.offset + s.bytes)
  }
  return offset
}
