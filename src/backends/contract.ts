import type { PlacedWeight, Program, StoragePolicy } from '../graph/program.ts'
import type { Frame } from '../ops/frame.ts'
import type { StoredTensor } from '../weights/catalog.ts'

/** What a backend can do; passes and the planner ask, and never the name of a backend. */
export interface Traits extends StoragePolicy {
  readonly name: string
  /** Instruction set or device, for people. */
  readonly detail: string
  readonly threads: number
}

export type ArenaSpace = 'weights' | 'activations' | 'cache'

/** A piece of memory taken once. `buffer` shows it to tests and to the verifying backend. */
export interface Arena {
  readonly space: ArenaSpace
  readonly buffer: ArrayBuffer
}

export type Arenas = Readonly<Record<ArenaSpace, Arena>>

/** A compiled program; opaque outside its backend. */
export interface Plan {
  readonly program: Program
}

export interface StepStats {
  /** Wall time of the step inside the backend. */
  readonly nanoseconds: number
}

/** The door to a device. A step is one `run`: every op of the program, sampling included, off the event loop. */
export interface Backend {
  readonly traits: Traits
  /** Maps a file into memory, where the backend can; otherwise the catalog reads it. */
  readonly mapFile?: (path: string) => ArrayBuffer
  reserve(space: ArenaSpace, bytes: number): Arena
  /** Converts and packs a weight into its place. `from` are the stored parts in order, or nothing for constants. */
  upload(to: PlacedWeight, arena: Arena, from: readonly StoredTensor[]): Promise<void>
  compile(program: Program, arenas: Arenas): Plan
  /** Runs one step over the rows that `frame.counts` names; resolves when the output fields are written. */
  run(plan: Plan, frame: Frame): Promise<StepStats>
  /** Nanoseconds that each instruction of the program has taken over all steps so far, where the backend knows. */
  readonly profile?: (plan: Plan) => readonly number[]
  close(): void
}
