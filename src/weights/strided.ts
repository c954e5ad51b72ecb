import { elementCount } from './stored.ts'
import type { TorchTensor } from './torch-tensor.ts'

/** Elements are moved as integers of their size. */
const arrays = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as const

/** Copies the elements of a view into the order of its shape. `bytes` are those of all its storage. */
export function gather(bytes: Uint8Array, { offset, shape, strides, storage }: TorchTensor): Uint8Array {
  const Elements = arrays[storage.elementBytes as keyof typeof arrays] as Uint8ArrayConstructor
  const aligned = bytes.byteOffset % storage.elementBytes === 0 ? bytes : bytes.slice()
  const source = new Elements(aligned.buffer, aligned.byteOffset, storage.elements)
  const out = new Elements(elementCount(shape)!)
  const index = shape.map(() => 0)
  let from = offset
  for (let to = 0; to < out.length; to++) {
    out[to] = source[from]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      // This axis begins anew, and the one outside it takes a step.
      from -= strides[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
  return new Uint8Array(out.buffer)
}
