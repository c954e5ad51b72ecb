import type { Instruction } from '../../graph/program.ts'
import type { Domain } from '../../ops/domain.ts'
import type { Frame } from '../../ops/frame.ts'
import { opShape } from '../../ops/table.ts'
import type { Operands, Step } from './operand.ts'
import { referenceOps } from './ops.ts'

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

/** Arithmetic of one row, as the op table counts it. */
export function flopsPerRow({ op, places, attributes }: Instruction): number {
  return opShape(op).cost(places, attributes).flops
}

/** Runs rows `[from, to)` of one instruction. */
export function runRows(instruction: Instruction, operands: Operands, step: Step, from: number, to: number): void {
  referenceOps[instruction.op](operands, instruction.attributes, step, from, to)
}
