import { neutralFrame } from '#dist/backends/conformance/bench.js'
import { Checkpoint } from '#dist/backends/conformance/checkpoint.js'
import { Random } from '#dist/backends/conformance/random.js'
import type { Arena, Arenas, Backend } from '#dist/backends/contract.js'
import { median } from '#dist/cli/statistics.js'
import { Graph } from '#dist/graph/graph.js'
import type { Value } from '#dist/graph/node.js'
import { planProgram } from '#dist/graph/plan.js'
import type { Program } from '#dist/graph/program.js'
import type { Limits } from '#dist/ops/domain.js'
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

const smallest: Omit<Limits, 'blockSize'> = {
  tokens: 1,
  sequences: 1,
  samples: 1,
  context: 16,
  blocks: 1,
  vocabulary: 32,
  topTokens: 1,
  masks: 0,
}

/** How keys and values are kept, and an arena of another program with the same layers to share. */
interface Cache {
  readonly format?: KvFormat
  readonly arena?: Arena
}

/** Builds, plans, uploads and compiles. */
export async function openProgram(
  backend: Backend,
  limits: Partial<Omit<Limits, 'blockSize'>>,
  build: (b: Building) => void,
  cache: Cache = {},
): Promise<Runnable> {
  const tensors = new Tensors()
  const g = new Graph((name) => tensors.stored.get(name)?.shape)
  build({ g, tensors })
  const all: Limits = { ...smallest, ...limits, blockSize: backend.traits.blockSize }
  const formatOf = (name: string) => tensors.stored.get(name)!.format
  const kv = cache.format && { kv: cache.format }
  const program = planProgram(g.finish(), all, backend.traits, formatOf, { ...kv })
  const arenas: Arenas = {
    weights: backend.reserve('weights', program.arenas.weights),
    activations: backend.reserve('activations', program.arenas.activations),
    cache: cache.arena ?? backend.reserve('cache', program.arenas.cache),
  }
  for (const placed of program.weights) {
    await backend.upload(
      placed,
      arenas.weights,
      placed.weight.tensors.map((name) => tensors.stored.get(name)!),
    )
  }
  const plan = backend.compile(program, arenas)
  const frame = neutralFrame(all)
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
