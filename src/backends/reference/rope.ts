import type { RopeStyle } from '../../ops/table.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'

type TableAttributes = {
  threshold: number
  scaleShort: number
  scaleLong: number
  dynamicFactor: number
  base: number
}

/**
 * Frequencies of the NTK rule for a rope length beyond the trained one ("dynamic" rope scaling). Rounded to float32
 * where transformers rounds: a far position multiplies what a frequency is off by.
 */
export function dynamicFrequencies(pairs: number, length: number, a: TableAttributes): Float32Array {
  const dimensions = 2 * pairs
  const stretch = (a.dynamicFactor * length) / a.threshold - (a.dynamicFactor - 1)
  const base = Math.fround(a.base * stretch ** (dimensions / (dimensions - 2)))
  return Float32Array.from({ length: pairs }, (_, i) => 1 / Math.fround(base ** Math.fround((2 * i) / dimensions)))
}

function frequenciesFor(table: Matrix, length: number, a: TableAttributes): Float32Array {
  if (length <= a.threshold) return rowOf(table, 0)
  if (a.dynamicFactor > 0) return dynamicFrequencies(table.width, length, a)
  return rowOf(table, table.rows - 1)
}

export function ropeTable(
  o: { positions: Int32Array; lengths: Int32Array; frequencies: Matrix; out: Matrix },
  a: TableAttributes,
  _step: Step,
  from: number,
  to: number,
): void {
  const pairs = o.frequencies.width
  for (let r = from; r < to; r++) {
    const frequencies = frequenciesFor(o.frequencies, o.lengths[r]!, a)
    const scale = o.lengths[r]! > a.threshold ? a.scaleLong : a.scaleShort
    const out = rowOf(o.out, r)
    for (let i = 0; i < pairs; i++) {
      // The angle is rounded as everybody's float32 tables round it; far positions depend on it.
      const angle = Math.fround(o.positions[r]! * frequencies[i]!)
      out[i] = Math.cos(angle) * scale
      out[pairs + i] = Math.sin(angle) * scale
    }
  }
}

export type RotationAttributes = { heads: number; headDim: number; style: RopeStyle }

/** Rotates the heads of a row in place, by its row of the table. */
export function rotateRow(x: Float32Array, table: Float32Array, a: RotationAttributes): void {
  const pairs = table.length / 2
  const [step, apart] = a.style === 'half' ? [1, pairs] : [2, 1]
  for (let h = 0; h < a.heads; h++) {
    for (let i = 0; i < pairs; i++) {
      const first = h * a.headDim + step * i
      const [p, q] = [x[first]!, x[first + apart]!]
      x[first] = p * table[i]! - q * table[pairs + i]!
      x[first + apart] = q * table[i]! + p * table[pairs + i]!
    }
  }
}

export function rope(
  o: { x: Matrix; table: Matrix; out: Matrix },
  a: RotationAttributes,
  _step: Step,
  from: number,
  to: number,
): void {
  for (let r = from; r < to; r++) {
    const [x, out] = [rowOf(o.x, r), rowOf(o.out, r)]
    if (out.byteOffset !== x.byteOffset || out.buffer !== x.buffer) out.set(x)
    rotateRow(out, rowOf(o.table, r), a)
  }
}
