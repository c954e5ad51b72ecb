import type { FormatName } from '../tensor/format.ts'
import type { Cursor } from './cursor.ts'
import { Dict, Name, type Pickled, type PickleWorld, Tuple } from './pickle.ts'
import { elementCount } from './stored.ts'

const maxDimensions = 8

/** What the classes of storages hold, by the name a safetensors file would give it. */
const storageTypes: Readonly<Record<string, { readonly dtype: string; readonly bytes: number }>> = {
  'torch.FloatStorage': { dtype: 'F32', bytes: 4 },
  'torch.HalfStorage': { dtype: 'F16', bytes: 2 },
  'torch.BFloat16Storage': { dtype: 'BF16', bytes: 2 },
  'torch.DoubleStorage': { dtype: 'F64', bytes: 8 },
  'torch.LongStorage': { dtype: 'I64', bytes: 8 },
  'torch.IntStorage': { dtype: 'I32', bytes: 4 },
  'torch.ShortStorage': { dtype: 'I16', bytes: 2 },
  'torch.CharStorage': { dtype: 'I8', bytes: 1 },
  'torch.ByteStorage': { dtype: 'U8', bytes: 1 },
  'torch.BoolStorage': { dtype: 'BOOL', bytes: 1 },
}

export const weightFormats: ReadonlyMap<string, FormatName> = new Map([
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
])

/** A run of elements in the file, which tensors are views of. */
export class Storage {
  readonly key: string
  readonly dtype: string
  readonly elementBytes: number
  readonly elements: number
  constructor(key: string, dtype: string, elementBytes: number, elements: number) {
    this.key = key
    this.dtype = dtype
    this.elementBytes = elementBytes
    this.elements = elements
  }
}

export class TorchTensor {
  readonly storage: Storage
  /** Elements of the storage before the first. */
  readonly offset: number
  readonly shape: readonly number[]
  /** In elements; what of a dimension of size 1 or 0 has no meaning. */
  readonly strides: readonly number[]
  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage
    this.offset = offset
    this.shape = shape
    this.strides = strides
  }

  /** Whether elements lie in the order of the shape, without holes. */
  get contiguous(): boolean {
    let next = 1
    for (let i = this.shape.length - 1; i >= 0; i--) {
      if (this.shape[i] !== 1 && this.strides[i] !== next) return false
      next *= this.shape[i]!
    }
    return true
  }
}

const orderedDict = 'collections.OrderedDict'
const rebuildTensor = 'torch._utils._rebuild_tensor_v2'
const rebuildParameter = 'torch._utils._rebuild_parameter'
const callable = new Set([orderedDict, rebuildTensor, rebuildParameter])

/** The names a checkpoint needs, and no other: dictionaries, storages, and tensors that are views of them. */
export function torchWorld(cursor: Cursor): PickleWorld {
  return {
    knows: (path) => callable.has(path) || Object.hasOwn(storageTypes, path),
    find: (id) => readStorage(cursor, id),
    call: (path, args) => {
      if (path === orderedDict && args.length === 0) return new Dict()
      if (path === rebuildTensor) return readTensor(cursor, args)
      if (path === rebuildParameter && args[0] instanceof TorchTensor) return args[0]
      return cursor.fail(`the pickle calls ${path} with what it does not take`)
    },
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** `('storage', class, key, device, elements)`, and in old files a sixth that is None. */
function readStorage(cursor: Cursor, [kind, type, key, , elements, view = null]: readonly Pickled[]): Storage {
  const named = type instanceof Name ? storageTypes[type.path] : undefined
  if (kind !== 'storage' || !named) cursor.fail('a persistent id names no storage')
  if (typeof key !== 'string' || !/^\d{1,20}$/.test(key)) cursor.fail('a storage has no number')
  if (!isSize(elements) || !Number.isSafeInteger(elements * named.bytes)) cursor.fail('a storage has no size')
  if (view !== null) cursor.fail('a storage is a view of another')
  return new Storage(key, named.dtype, named.bytes, elements)
}

/** `(storage, offset, shape, strides, ...)`; what follows matters to training only. */
function readTensor(cursor: Cursor, [storage, offset, shape, strides]: readonly Pickled[]): TorchTensor {
  if (!(storage instanceof Storage) || !isSize(offset)) cursor.fail('a tensor without a storage')
  const sizes = sizesOf(cursor, shape)
  const steps = sizesOf(cursor, strides)
  if (sizes.length !== steps.length || sizes.length > maxDimensions) cursor.fail('a tensor with wrong dimensions')
  const count = elementCount(sizes)
  if (count === undefined) cursor.fail('a tensor too large')
  const last = sizes.reduce((sum, size, i) => sum + (size - 1) * steps[i]!, offset)
  if (count > 0 && last >= storage.elements) cursor.fail('a tensor outside its storage')
  // So does a view that repeats elements; its size has no bound but its word.
  if (count > storage.elements) cursor.fail('a tensor larger than its storage')
  return new TorchTensor(storage, offset, sizes, steps)
}

function sizesOf(cursor: Cursor, value: Pickled | undefined): readonly number[] {
  const items = value instanceof Tuple ? value.items : cursor.fail('a shape is no tuple')
  return items.every(isSize) ? (items as readonly number[]) : cursor.fail('a shape with what is no size')
}
