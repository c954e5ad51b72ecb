import { type Matrix, rowOf, type Step } from './operand.ts'

export function embedding(
  o: { ids: Int32Array; weight: Matrix; out: Matrix },
  _a: object,
  _step: Step,
  from: number,
  to: number,
): void {
  for (let r = from; r < to; r++) rowOf(o.out, r).set(rowOf(o.weight, o.ids[r]!))
}

export function selectRows(o: { x: Matrix; out: Matrix }, _a: object, step: Step, from: number, to: number): void {
  for (let s = from; s < to; s++) rowOf(o.out, s).set(rowOf(o.x, step.frame.sampleRows[s]!))
}

export function add(o: { x: Matrix; y: Matrix; out: Matrix }, _a: object, _step: Step, from: number, to: number): void {
  for (let r = from; r < to; r++) {
    const x = rowOf(o.x, r)
    const y = rowOf(o.y, r)
    const out = rowOf(o.out, r)
    for (let i = 0; i < out.length; i++) out[i] = x[i]! + y[i]!
  }
}
