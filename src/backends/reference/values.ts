import { assert } from '../../base/assert.ts'
import type { PlacedWeight } from '../../graph/program.ts'
import { dequantize } from '../../tensor/dequantize.ts'
import type { StoredTensor } from '../../weights/catalog.ts'
import { roundTo } from './rounding.ts'

/**
 * Numbers of a weight in float32: its stored parts one under another, or the constant it is; rounded to what
 * the placed format holds where that is another than the stored one.
 */
export function weightValues({ weight, format }: PlacedWeight, from: readonly StoredTensor[], out: Float32Array): void {
  if (weight.data) {
    out.set(weight.data)
    roundTo(format, out)
    return
  }
  let start = 0
  for (const part of from) {
    const elements = part.shape.reduce((a, b) => a * b, 1)
    const values = out.subarray(start, start + elements)
    dequantize(part.format, part.bytes(), values)
    if (part.format !== format) roundTo(format, values)
    start += elements
  }
  assert(start === weight.rows * weight.columns, `${weight.tensors}: the parts do not make up the weight`)
}
