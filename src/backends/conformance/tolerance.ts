import { type Matrix, rowOf } from '../reference/operand.ts'

/** One unit in the last place of float32, relative. */
const ulp = 2 ** -23

/**
 * How far a backend may be from the reference, which sums in double precision and rounds once. Relative to the greatest
 * magnitude of the row unless said otherwise; copies, sums of two and selections are exact.
 */
export const tolerances = {
  /** Absolute: what is smaller comes of numbers below the normal ones, which a backend may take for zero. */
  vanishing: 2 ** -116,
  /** A handful of float32 operations on one element; relative to that element. */
  element: 8 * ulp,
  /** The mean of squares in float32 and an inverse root. */
  norm: 32 * ulp,
  /** Cosine and sine of a float32 angle by polynomials. */
  trigonometry: 16 * ulp,
  /** Exponential or error function by polynomials. */
  activation: 64 * ulp,
  /**
   * Scores, exponentials and weighted sums in float32; a score of s is off by s ulps, and the exponential with it. Where weights
   * are rounded after that, one that is near the border may fall on either side.
   */
  attention: { f32: 512 * ulp, bf16: 2 ** -7, int8: 2 ** -9 },
  /** Log-probabilities; absolute, plus relative. */
  logprob: 128 * ulp,
  /** Cumulative probability: how near a border counts as on it. */
  mass: 16 * ulp,
  /** Products: share of |x| |w|, the most that a product can be. A running sum in float32 errs as a random walk. */
  product: (columns: number) => (8 + Math.sqrt(columns) / 2) * ulp,
} as const

function norm(row: Float32Array): number {
  let squares = 0
  for (const v of row) squares += v * v
  return Math.sqrt(squares)
}

/** How far `linear` may be off: by row, then by column. Lengths of x and of the weight's row bound their product. */
export function linearSlack(x: Matrix, weight: Matrix): (row: number) => (column: number) => number {
  const share = tolerances.product(x.width)
  const norms = Array.from({ length: weight.rows }, (_, n) => norm(rowOf(weight, n)))
  return (row) => {
    const length = norm(rowOf(x, row))
    return (column) => share * length * norms[column]!
  }
}
