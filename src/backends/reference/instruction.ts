import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Instruction } from '../../graph/program.ts'
import type { Domain } from '../../ops/domain.ts'
import type { Frame } from '../../ops/frame.ts'
import { opShape } from '../../ops/table.ts'
import type { Attributes, Operands, Step } from './operand.ts'
import { referenceOps } from './ops.ts'

/** A step gives the event loop a turn when it has held it this long. */
const TURN_MILLISECONDS = 20
/** Arithmetic between two looks at the clock, and the most rows in one go. */
const SLICE_FLOPS = 5e7
const SLICE_ROWS = 64

/** Rows in use of a domain in this step. */
export function rowsIn(frame: Frame, domain: Domain): number {
  if (domain === 'fixed') return 1
  return frame.counts[domain === 'tokens' ? 0 : 2]!
}

/** The domain whose rows an instruction goes over: that of its output, or of its input when it has none. */
export function domainOf({ op, places }: Instruction): Domain {
  const names = Object.entries(opShape(op).operands)
  const wanted = names.some(([, o]) => o.kind === 'output') ? 'output' : 'activation'
  const [name] = names.find(([operand, o]) => o.kind === wanted && places[operand])!
  return places[name]!.domain
}

/** Lets other work in, once a step has held the event loop for a while. */
export class Turns {
  #since = performance.now()

  async give(): Promise<void> {
    if (performance.now() - this.#since < TURN_MILLISECONDS) return
    await nextTurn()
    this.#since = performance.now()
  }
}

/** Rows of an instruction to run between two looks at the clock. */
function sliceOf({ op, places, attributes }: Instruction): number {
  const { flops } = opShape(op).cost(places, attributes)
  return Math.max(1, Math.min(SLICE_ROWS, Math.floor(SLICE_FLOPS / Math.max(1, flops))))
}

/** Attribute values as a compiled program holds them: numbers that are not whole are float32. */
function attributesOf({ op, attributes }: Instruction): Attributes {
  const types = opShape(op).attributes
  const entries = Object.entries(attributes).map(([name, v]) => [
    name,
    types[name] === 'f32' ? Math.fround(Number(v)) : v,
  ])
  return Object.fromEntries(entries)
}

/** Runs one instruction over all rows of the step. */
export async function runInstruction(i: Instruction, operands: Operands, step: Step, turns: Turns): Promise<void> {
  const rows = rowsIn(step.frame, domainOf(i))
  const slice = sliceOf(i)
  const attributes = attributesOf(i)
  for (let from = 0; from < rows; from += slice) {
    referenceOps[i.op](operands, attributes, step, from, Math.min(from + slice, rows))
    await turns.give()
  }
}
