import { setImmediate as nextTurn } from 'node:timers/promises'
import { assert } from '../../base/assert.ts'
import { fail } from '../../base/errors.ts'
import type { Instruction, Program } from '../../graph/program.ts'
import type { Frame } from '../../ops/frame.ts'
import type { Arena, ArenaSpace, Arenas, Backend, Plan, StepStats } from '../contract.ts'
import { type PagedCache, pagedCaches } from './cache.ts'
import { domainOf, flopsPerRow, rowsIn, runRows } from './instruction.ts'
import type { Operands, Step } from './operand.ts'
import { matrixAt, operandsOf, type Sources } from './operands.ts'
import { referenceTraits } from './traits.ts'
import { weightValues } from './values.ts'

/** A step gives the event loop a turn when it has held it this long. */
const TURN_MILLISECONDS = 20
/** Arithmetic between two looks at the clock, and the most rows in one go. */
const SLICE_FLOPS = 2e7
const SLICE_ROWS = 64

interface ReferencePlan extends Plan {
  readonly sources: Sources
  readonly caches: readonly PagedCache[]
}

/** The oracle: every op in plain TypeScript, one after another, on the calling thread. */
export function openReferenceBackend(): Backend {
  return { traits: referenceTraits, reserve, upload, compile, run, close: () => {} }
}

function reserve(space: ArenaSpace, bytes: number): Arena {
  try {
    return { space, buffer: new ArrayBuffer(bytes) }
  } catch (cause) {
    const reason = `the reference backend cannot reserve ${bytes} bytes for ${space} in one piece`
    return fail('engine.memory', { reason }, cause)
  }
}

const upload: Backend['upload'] = async (to, arena, from) => {
  const elements = to.weight.rows * to.weight.columns
  weightValues(to, from, new Float32Array(arena.buffer, to.offset, elements))
}

function compile(program: Program, arenas: Arenas): ReferencePlan {
  for (const space of ['weights', 'activations', 'cache'] as const) {
    const { byteLength } = arenas[space].buffer
    assert(byteLength >= program.arenas[space], `the ${space} arena is smaller than the program needs`)
  }
  const weights = new Float32Array(arenas.weights.buffer)
  const activations = new Float32Array(arenas.activations.buffer)
  return {
    program,
    sources: {
      weight: (place) => matrixAt(weights, place),
      activation: (place) => matrixAt(activations, place),
    },
    caches: pagedCaches(arenas.cache.buffer, program.caches, program.limits),
  }
}

/** Lets other work in between slices, once the loop has been held for a while. */
class Turns {
  #since = performance.now()

  async give(): Promise<void> {
    if (performance.now() - this.#since < TURN_MILLISECONDS) return
    await nextTurn()
    this.#since = performance.now()
  }
}

async function runInstruction(instruction: Instruction, operands: Operands, step: Step, turns: Turns): Promise<void> {
  const rows = rowsIn(step.frame, domainOf(instruction))
  const slice = Math.max(1, Math.min(SLICE_ROWS, Math.floor(SLICE_FLOPS / (flopsPerRow(instruction) || 1))))
  for (let from = 0; from < rows; from += slice) {
    runRows(instruction, operands, step, from, Math.min(from + slice, rows))
    await turns.give()
  }
}

async function run(plan: Plan, frame: Frame): Promise<StepStats> {
  const { program, sources, caches } = plan as ReferencePlan
  const started = performance.now()
  const turns = new Turns()
  const step: Step = { frame, limits: program.limits, caches }
  for (const instruction of program.instructions) {
    await runInstruction(instruction, operandsOf(instruction, sources, frame), step, turns)
  }
  return { nanoseconds: Math.round((performance.now() - started) * 1e6) }
}
