import type { Activation } from '../../ops/table.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'

/** Beyond this |x|, erf(x) is ±1 in double precision. */
const ERF_SATURATES = 6

/** The error function by its all-positive series 2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!, which never cancels. */
export function erf(x: number): number {
  if (Math.abs(x) > ERF_SATURATES) return Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

/** The non-linearities of the op table, in double precision. */
export const activationFunctions: Readonly<Record<Activation, (x: number) => number>> = {
  none: (x) => x,
  relu: (x) => Math.max(x, 0),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
  quick_gelu: (x) => x / (1 + Math.exp(-1.702 * x)),
  silu: (x) => x / (1 + Math.exp(-x)),
}

export function gatedActivation(
  o: { gate: Matrix; up: Matrix; out: Matrix },
  a: { activation: Activation },
  _step: Step,
  from: number,
  to: number,
): void {
  const f = activationFunctions[a.activation]
  for (let r = from; r < to; r++) {
    const gate = rowOf(o.gate, r)
    const up = rowOf(o.up, r)
    const out = rowOf(o.out, r)
    for (let i = 0; i < out.length; i++) out[i] = f(gate[i]!) * up[i]!
  }
}
