import type { Activation, Rounding } from '../../ops/table.ts'
import { activationFunctions, gatedActivation } from './activation.ts'
import { roundRow } from './encode.ts'
import { type Matrix, matrixOf, rowOf, type Step } from './operand.ts'

/** Rows of the weight multiplied together: x is loaded once for all, and their sums do not wait for each other. */
const TILE = 4
const sums = new Float64Array(TILE)

/** Products of x with `TILE` rows of the weight from index `j` on, into `sums`; double precision, in the order of k. */
function dotTile(x: Float32Array, i: number, w: Float32Array, j: number, stride: number, length: number): void {
  const [j1, j2, j3] = [j + stride, j + 2 * stride, j + 3 * stride]
  let [a, b, c, d] = [0, 0, 0, 0]
  for (let k = 0; k < length; k++) {
    const v = x[i + k]!
    a += v * w[j + k]!
    b += v * w[j1 + k]!
    c += v * w[j2 + k]!
    d += v * w[j3 + k]!
  }
  sums[0] = a
  sums[1] = b
  sums[2] = c
  sums[3] = d
}

function dot(x: Float32Array, i: number, w: Float32Array, j: number, length: number): number {
  let sum = 0
  for (let k = 0; k < length; k++) sum += x[i + k]! * w[j + k]!
  return sum
}

/** Products of one row of x with the weight's rows from `n` on: a tile of them, or one of the last few. */
function products(x: Matrix, row: number, weight: Matrix, n: number, count: number): void {
  const [i, j] = [x.start + row * x.stride, weight.start + n * weight.stride]
  if (count === TILE) dotTile(x.data, i, weight.data, j, weight.stride, x.width)
  else sums[0] = dot(x.data, i, weight.data, j, x.width)
}

export function linear(
  o: { x: Matrix; weight: Matrix; bias?: Matrix; out: Matrix },
  a: { activation: Activation },
  _step: Step,
  from: number,
  to: number,
): void {
  const { x, weight, bias, out } = o
  const f = activationFunctions[a.activation]
  // Weight rows outside: each is read from memory once for all rows of x.
  for (let n = 0; n < weight.rows; ) {
    const count = n + TILE <= weight.rows ? TILE : 1
    for (let r = from; r < to; r++) {
      products(x, r, weight, n, count)
      const at = out.start + r * out.stride + n
      for (let t = 0; t < count; t++) out.data[at + t] = f(sums[t]! + (bias ? bias.data[bias.start + n + t]! : 0))
    }
    n += count
  }
}

/** Both products of some rows, in float32. */
export function gateAndUp({ x, weight }: { x: Matrix; weight: Matrix }, step: Step, from: number, to: number): Matrix {
  const out = matrixOf(new Float32Array((to - from) * weight.rows), weight.rows)
  const rows = { ...x, start: x.start + from * x.stride }
  linear({ x: rows, weight, out }, { activation: 'none' }, step, 0, to - from)
  return out
}

export function gatedLinear(
  o: { x: Matrix; weight: Matrix; out: Matrix },
  a: { activation: Activation; rounding: Rounding },
  step: Step,
  from: number,
  to: number,
): void {
  const both = gateAndUp(o, step, from, to)
  // Its rows begin with `from`.
  const start = -from * both.stride
  const { width } = o.out
  const gate = { ...both, start, width }
  gatedActivation({ gate, up: { ...gate, start: start + width }, out: o.out }, a, step, from, to)
  for (let r = from; r < to; r++) roundRow(rowOf(o.out, r), a.rounding, rowOf(o.out, r))
}
