import type { Activation } from '../../ops/table.ts'
import { activationFunctions } from './activation.ts'
import type { Matrix, Step } from './operand.ts'

/** Four partial sums in double precision: enough independent chains to keep a processor busy. */
function dot(x: Float32Array, i: number, w: Float32Array, j: number, length: number): number {
  let [a, b, c, d] = [0, 0, 0, 0]
  let k = 0
  for (; k + 4 <= length; k += 4) {
    a += x[i + k]! * w[j + k]!
    b += x[i + k + 1]! * w[j + k + 1]!
    c += x[i + k + 2]! * w[j + k + 2]!
    d += x[i + k + 3]! * w[j + k + 3]!
  }
  for (; k < length; k++) a += x[i + k]! * w[j + k]!
  return a + b + (c + d)
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
  for (let n = 0; n < weight.rows; n++) {
    const w = weight.start + n * weight.stride
    const b = bias ? bias.data[bias.start + n]! : 0
    for (let r = from; r < to; r++) {
      const sum = dot(x.data, x.start + r * x.stride, weight.data, w, x.width)
      out.data[out.start + r * out.stride + n] = f(sum + b)
    }
  }
}
