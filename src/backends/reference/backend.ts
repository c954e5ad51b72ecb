import { assert } from '../../base/assert.ts'
import { fail } from '../../base/errors.ts'
import type { Program } from '../../graph/program.ts'
import type { Frame } from '../../ops/frame.ts'
import type { Arena, ArenaSpace, Arenas, Backend, Plan, StepStats } from '../contract.ts'
import { type PagedCache, pagedCaches } from './cache.ts'
import { runInstruction, Turns } from './instruction.ts'
import type { Step } from './operand.ts'
import { matrixAt, operandsOf, type Sources } from './operands.ts'
import { referenceTraits } from './traits.ts'
import { weightValues } from './values.ts'

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
