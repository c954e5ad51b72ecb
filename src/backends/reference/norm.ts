import type { Rounding } from '../../ops/table.ts'
import { roundRow } from './encode.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'

type NormAttributes = {
  epsilon: number
  offset: number
  rounding: Rounding
}

function normalize(x: Float32Array, weight: Float32Array, a: NormAttributes, out: Float32Array): void {
  let squares = 0
  for (let i = 0; i < x.length; i++) squares += x[i]! * x[i]!
  const scale = 1 / Math.sqrt(squares / x.length + a.epsilon)
  for (let i = 0; i < x.length; i++) out[i] = x[i]! * scale * (weight[i]! + a.offset)
  roundRow(out, a.rounding, out)
}

export function rmsNorm(
  o: { x: Matrix; weight: Matrix; out: Matrix },
  a: NormAttributes,
  _step: Step,
  from: number,
  to: number,
): void {
  const weight = rowOf(o.weight, 0)
  for (let r = from; r < to; r++) normalize(rowOf(o.x, r), weight, a, rowOf(o.out, r))
}

export function addRmsNorm(
  o: { x: Matrix; y: Matrix; weight: Matrix; sum: Matrix; out: Matrix },
  a: NormAttributes,
  _step: Step,
  from: number,
  to: number,
): void {
  const weight = rowOf(o.weight, 0)
  for (let r = from; r < to; r++) {
    const x = rowOf(o.x, r)
    const y = rowOf(o.y, r)
    const sum = rowOf(o.sum, r)
    for (let i = 0; i < sum.length; i++) sum[i] = x[i]! + y[i]!
    normalize(sum, weight, a, rowOf(o.out, r))
  }
}
