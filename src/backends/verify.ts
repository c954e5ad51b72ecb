import { assert } from '../base/assert.ts'
import { fail } from '../base/errors.ts'
import type { Instruction, Place, Program } from '../graph/program.ts'
import { decodeRow, type Encoding } from '../ops/encoding.ts'
import { createFrame, type Frame } from '../ops/frame.ts'
import { opShape } from '../ops/table.ts'
import { type Difference, firstDifference } from './conformance/difference.ts'
import type { Arena, Arenas, Backend, Plan } from './contract.ts'
import { cacheBlockBytes, type PagedCache, pagedCaches } from './reference/cache.ts'
import { domainOf, rowsIn, runInstruction, Turns } from './reference/instruction.ts'
import { type Matrix, matrixOf, type Step } from './reference/operand.ts'
import { matrixAt, operandsOf, type Sources } from './reference/operands.ts'
import { weightValues } from './reference/values.ts'

/** Values of the weights of one arena, by their offset there. */
type Values = Map<number, Float32Array>

interface VerifiedPlan extends Plan {
  readonly real: Plan
  readonly weights: Values
  readonly activations: Float32Array
  readonly caches: readonly PagedCache[]
}

/**
 * A backend that checks another at work: after every run it takes each instruction's inputs from that backend's
 * activations, runs the reference's op on them, and compares. Programs must be planned with `reuse: false`, so that all
 * inputs are still there. Throws `backend.failed`, naming the first op that differs by more than its tolerance.
 * Slow, and takes the memory of the weights in float32 and of a second cache.
 */
export function verifying(backend: Backend): Backend {
  const weights = new WeakMap<Arena, Values>()
  const caches = new WeakMap<Arena, readonly PagedCache[]>()
  const valuesIn = (arena: Arena): Values => known(weights, arena, () => new Map())
  return {
    traits: { ...backend.traits, detail: `${backend.traits.detail}, verified` },
    ...(backend.mapFile && { mapFile: (path: string) => backend.mapFile!(path) }),
    reserve: (space, bytes) => backend.reserve(space, bytes),
    async upload(to, arena, from) {
      const values = new Float32Array(to.weight.rows * to.weight.columns)
      weightValues(to, from, values)
      valuesIn(arena).set(to.offset, values)
      await backend.upload(to, arena, from)
    },
    compile(program: Program, arenas: Arenas): VerifiedPlan {
      refuseReuse(program)
      return {
        program,
        real: backend.compile(program, arenas),
        weights: valuesIn(arenas.weights),
        activations: new Float32Array(arenas.activations.buffer),
        caches: known(caches, arenas.cache, () => shadowCaches(program)),
      }
    },
    async run(plan, frame) {
      const verified = plan as VerifiedPlan
      const stats = await backend.run(verified.real, frame)
      await verifyStep(verified, frame)
      return stats
    },
    ...(backend.profile && { profile: (plan: Plan) => backend.profile!((plan as VerifiedPlan).real) }),
    close: () => backend.close(),
  }
}

function known<V>(map: WeakMap<Arena, V>, arena: Arena, make: () => V): V {
  const value = map.get(arena) ?? make()
  map.set(arena, value)
  return value
}

/** The reference's own caches: no two backends lay theirs out alike. */
function shadowCaches({ caches, limits }: Program): PagedCache[] {
  const bytes = caches.reduce((sum, layer) => sum + limits.blocks * cacheBlockBytes(limits.blockSize, layer), 0)
  return pagedCaches(new ArrayBuffer(bytes), caches, limits)
}

const outputNames = ({ op }: Instruction): string[] =>
  Object.entries(opShape(op).operands).flatMap(([name, o]) => (o.kind === 'output' ? [name] : []))

/** Two outputs that share memory mean that inputs are gone when the step is over. */
function refuseReuse({ instructions, limits }: Program): void {
  const places = instructions.flatMap((i) => outputNames(i).map((name) => i.places[name]!))
  const rows = (p: Place) => (p.domain === 'samples' ? limits.samples : limits.tokens)
  const sorted = places.sort((a, b) => a.offset - b.offset)
  sorted.forEach((p, i) => {
    const next = sorted[i + 1]
    if (next && next.offset < p.offset + rows(p) * p.stride * 4) {
      fail('backend.failed', { reason: 'a verified program must be planned with reuse: false' })
    }
  })
}

async function verifyStep(plan: VerifiedPlan, frame: Frame): Promise<void> {
  const { program, caches } = plan
  const scratch = createFrame(program.limits)
  new Uint8Array(scratch.buffer).set(new Uint8Array(frame.buffer, frame.counts.byteOffset, scratch.buffer.byteLength))
  const actualStep: Step = { frame, limits: program.limits, caches }
  const expectedStep: Step = { ...actualStep, frame: scratch }
  const turns = new Turns()
  for (const [index, instruction] of program.instructions.entries()) {
    const rows = rowsIn(frame, domainOf(instruction))
    const actual = operandsOf(instruction, actualSources(plan, rows), frame)
    const expected = operandsOf(instruction, expectedSources(plan, instruction, rows), scratch)
    await runInstruction(instruction, expected, expectedStep, turns)
    const difference = firstDifference({ instruction, actual, expected, actualStep, expectedStep, rows })
    if (difference) report(index, instruction, difference)
  }
}

const actualSources = (plan: VerifiedPlan, rows: number): Sources => ({
  weight: (place) => weightAt(plan, place),
  activation: (place) => activationAt(plan, place, rows),
})

/** The real inputs, and fresh memory for what the reference makes of them. */
function expectedSources(plan: VerifiedPlan, instruction: Instruction, rows: number): Sources {
  const outputs = new Set(outputNames(instruction))
  return {
    weight: (place) => weightAt(plan, place),
    activation: (place, operand) =>
      outputs.has(operand)
        ? matrixOf(new Float32Array(rows * place.width), place.width)
        : activationAt(plan, place, rows),
  }
}

/** An activation where it lies, or for what an `encode` made, its float32 values. */
function activationAt({ activations }: VerifiedPlan, place: Place, rows: number): Matrix {
  const { format, offset, stride, width } = place
  if (format === 'f32') return matrixAt(activations, place)
  const values = new Float32Array(rows * width)
  for (let r = 0; r < rows; r++) {
    decodeRow(
      format as Encoding,
      activations.buffer,
      offset + 4 * r * stride,
      values.subarray(r * width, (r + 1) * width),
    )
  }
  return matrixOf(values, width)
}

function weightAt(plan: VerifiedPlan, place: Place): Matrix {
  const values = plan.weights.get(place.offset)
  assert(values, `a weight at ${place.offset} that was never uploaded`)
  return matrixOf(values, place.width)
}

function report(index: number, { op, name }: Instruction, d: Difference): never {
  const where = `${d.output}[row ${d.row}, column ${d.column}]`
  const what = `${d.actual} where the reference has ${d.expected} (allowed difference ${d.allowed})`
  const reason = `instruction ${index} (${op} ${name}): ${where} is ${what}`
  const { row, column, actual, expected } = d
  return fail('backend.failed', { reason, instruction: index, op, name, row, column, actual, expected })
}
