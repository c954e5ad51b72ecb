import { assert } from '../../base/assert.ts'
import type { Instruction, Place } from '../../graph/program.ts'
import type { Frame } from '../../ops/frame.ts'
import type { Matrix, Operands } from './operand.ts'

/** Where weights and activations are to be found: a whole arena, or wherever the verifying backend keeps them. */
export interface Sources {
  weight(place: Place): Matrix
  activation(place: Place, operand: string): Matrix
}

/** A place of an arena of float32 as a matrix. */
export function matrixAt(data: Float32Array, place: Place): Matrix {
  const { stride, width, rows } = place
  assert(place.space === 'weights' || place.format === 'f32', 'the reference keeps activations as float32')
  return { data, start: place.offset / 4 + place.column, stride, width, rows }
}

function operandAt(place: Place, name: string, sources: Sources, frame: Frame): Matrix | Int32Array | undefined {
  switch (place.space) {
    case 'none':
      return undefined
    case 'weights':
      return sources.weight(place)
    case 'activations':
      return sources.activation(place, name)
    case 'frame': {
      const field = frame[place.field!]
      assert(field instanceof Int32Array, `${place.field} is no operand of an op`)
      return field
    }
  }
}

/** Operands of an instruction by the names of the op table. */
export function operandsOf(instruction: Instruction, sources: Sources, frame: Frame): Operands {
  const entries = Object.entries(instruction.places).map(([name, place]) => [
    name,
    place && operandAt(place, name, sources, frame),
  ])
  return Object.fromEntries(entries)
}
