import { type Encoding, encodableEnd, encodedBlock, smallestBlock } from '../../ops/encoding.ts'
import type { Rounding } from '../../ops/table.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'
import { nearest, toBfloat16 } from './rounding.ts'

/** The values after rounding, kept as float32: what an encoded row decodes to. */
export function encode(
  o: { x: Matrix; out: Matrix },
  a: { encoding: Encoding },
  _step: Step,
  from: number,
  to: number,
): void {
  for (let r = from; r < to; r++) {
    roundRow(rowOf(o.x, r), a.encoding, rowOf(o.out, r))
  }
}

/** One row as it is after rounding; `out` may be the row itself. */
export function roundRow(x: Float32Array, rounding: Rounding, out: Float32Array): void {
  if (rounding === 'bf16') for (let i = 0; i < x.length; i++) out[i] = toBfloat16(x[i]!)
  if (rounding === 'q8_0') for (let b = 0; b < x.length; b += encodedBlock) encodeBlock(x, out, b)
}

/** Every step in float32, as kernels do it, so that no multiple differs. */
function encodeBlock(x: Float32Array, out: Float32Array, begin: number): void {
  let greatest = 0
  for (let i = 0; i < encodedBlock; i++) greatest = Math.max(greatest, Math.abs(x[begin + i]!))
  const finite = greatest < encodableEnd
  const nothing = !(finite && greatest >= smallestBlock)
  const scale = !finite ? Number.NaN : nothing ? 0 : roundUp(Math.fround(greatest / 127))
  const inverse = nothing ? 0 : Math.fround(1 / scale)
  for (let i = 0; i < encodedBlock; i++) {
    const multiple = finite ? nearest(Math.fround(x[begin + i]! * inverse)) : 0
    out[begin + i] = multiple * scale
  }
}

/** The least number from `x` on that is two or three times a power of two. */
function roundUp(x: number): number {
  const power = 2 ** Math.floor(Math.log2(x))
  return [1, 1.5, 2].map((m) => m * power).find((y) => y >= x)!
}
