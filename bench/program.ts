import { Checkpoint } from '#dist/backends/conformance/checkpoint.js'
import { loadGraph, type SmallLimits } from '#dist/backends/conformance/loaded.js'
import { Random } from '#dist/backends/conformance/random.js'
import type { Arena, Backend } from '#dist/backends/contract.js'
import { median } from '#dist/cli/statistics.js'
import type { Graph } from '#dist/graph/graph.js'
import type { Value } from '#dist/graph/node.js'
import type { Program } from '#dist/graph/program.js'
import type { Frame } from '#dist/ops/frame.js'
import { type FormatName, rowBytes } from '#dist/tensor/format.js'
import type { KvFormat } from '#dist/tensor/kv-format.js'
import type { StoredTensor } from '#dist/weights/catalog.js'

/** Bytes a program should walk through, so that what it reads comes from memory and not from a cache. */
export const walkedBytes = 96 * 2 ** 20

/** Rows of random numbers that a tensor repeats: drawing every one would take longer than measuring. */
const drawnRows = 16

/** Tensors invented for a program: random rows, repeated. */
export class Tensors {
  readonly stored = new Map<string, StoredTensor>()

  add(name: string, format: FormatName, rows: number, columns: number): void {
    const drawn = new Checkpoint(new Random(columns))
    drawn.add(name, format, Math.min(rows, drawnRows), columns)
    const few = drawn.tensors.get(name)!
    const bytes = () => repeated(few.bytes(), rows * rowBytes(format, columns))
    this.stored.set(name, { ...few, shape: [rows, columns], bytes })
  }
}

function repeated(from: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let at = 0; at < length; at += from.length) out.set(from.subarray(0, Math.min(from.length, length - at)), at)
  return out
}

export interface Building {
  readonly g: Graph
  readonly tensors: Tensors
}

/** `[rows of the step, width]` of random numbers. */
export function input({ g, tensors }: Building, name: string, rows: number, width: number): Value {
  tensors.add(name, 'f32', rows, width)
  const ids = g.frame('tokenIds', 'tokens')
  return g.op('embedding', `${name}.rows`, { ids, weight: g.weight(name, rows, width) }, {})['out']!
}

/** A program that can be run again and again; `run` gives the seconds that a step took in the backend. */
export interface Runnable {
  readonly program: Program
  readonly frame: Frame
  readonly cache: Arena
  run(): Promise<number>
}

/** How keys and values are kept, and an arena of another program with the same layers to share. */
interface Cache {
  readonly format?: KvFormat
  readonly arena?: Arena
}

/** Builds, plans, uploads and compiles. */
export async function openProgram(
  backend: Backend,
  limits: SmallLimits,
  build: (b: Building) => void,
  { format, arena }: Cache = {},
): Promise<Runnable> {
  const tensors = new Tensors()
  const options = { ...(format && { kv: format }), ...(arena && { cache: arena }) }
  const buildWith = (g: Graph) => build({ g, tensors })
  const loaded = await loadGraph(backend, { masks: 0, ...limits }, tensors.stored, buildWith, options)
  const { program, plan, arenas, frame } = loaded
  const run = async () => (await backend.run(plan, frame)).nanoseconds / 1e9
  return { program, frame, cache: arenas.cache, run }
}

/** A thing to time: sets up the frame, then runs once; gives seconds. */
export type Timed = () => Promise<number>

/** Seconds over the rounds: what was to be had, and what neighbours left alone. */
export interface Times {
  readonly median: number
  readonly best: number
}

/** All are run in turn, round after round, so that a busy minute meets every one alike. */
export async function inTurn(timed: readonly Timed[], rounds: number): Promise<Times[]> {
  const seconds: number[][] = timed.map(() => [])
  for (const t of timed) await t()
  for (let r = 0; r < rounds; r++) {
    for (const [i, t] of timed.entries()) seconds[i]!.push(await t())
  }
  return seconds.map((all) => ({ median: median(all), best: Math.min(...all) }))
}

/** A frame of `rows` tokens without sequences, each reading its own row of the tables. */
export function plainRows(frame: Frame, rows: number): void {
  for (let r = 0; r < rows; r++) frame.tokenIds[r] = r
  frame.counts.set([rows, 0, 0])
}
