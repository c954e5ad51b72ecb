import { assert } from '../../base/assert.ts'
import type { PlacedWeight } from '../../graph/program.ts'
import { dequantize } from '../../tensor/dequantize.ts'
import type { StoredTensor } from '../../weights/catalog.ts'

/** Numbers of a weight in float32: its stored parts one under another, or the constant it is. */
export function weightValues({ weight }: PlacedWeight, from: readonly StoredTensor[], out: Float32Array): void {
  if (weight.data) {
    out.set(weight.data)
    return
  }
  let start = 0
  for (const part of from) {
    const elements = part.shape.reduce((a, b) => a * b, 1)
    dequantize(part.format, part.bytes(), out.subarray(start, start + elements))
    start += elements
  }
  assert(start === weight.rows * weight.columns, `${weight.tensors}: the parts do not make up the weight`)
}
