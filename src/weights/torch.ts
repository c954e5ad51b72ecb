import { fail } from '../base/errors.ts'
import type { MapFile, StoredTensor } from './catalog.ts'
import { Cursor } from './cursor.ts'
import { openFile, type WeightFile } from './file.ts'
import { Dict, List, maxPickleBytes, unpickle } from './pickle.ts'
import type { OtherTensor, Safetensors } from './safetensors.ts'
import { elementCount, maxNameLength, maxTensors, storedTensor } from './stored.ts'
import { gather } from './strided.ts'
import { Storage, TorchTensor, torchWorld, weightFormats } from './torch-tensor.ts'
import { part, readZip } from './zip.ts'

/** What PyTorch files before 1.6 begin with: a pickle of this number, and one of the version. */
const legacyMagic = 0x1950a86a20f9469cfc6cn
const legacyVersion = 1001

/** Opens a checkpoint that `torch.save` wrote; throws `weights.malformed` or `model.not_found`. */
export function openTorch(path: string, mapFile?: MapFile): Safetensors {
  const file = openFile(path, mapFile)
  try {
    return { path, ...parseTorch(file), close: () => file.close() }
  } catch (error) {
    file.close()
    throw error
  }
}

/** Where each storage begins, by its key. */
type Places = (storage: Storage) => number

/** Reads the pickle of tensors, and where their bytes are; the bytes are not touched. */
export function parseTorch(file: WeightFile): Pick<Safetensors, 'tensors' | 'others'> {
  const isZip = file.size >= 4 && Buffer.from(file.bytes(0, 4)).toString('latin1') === 'PK\x03\x04'
  const { entries, place } = isZip ? readArchive(file) : readLegacy(file)
  if (entries.size > maxTensors)
    fail('weights.malformed', { file: file.path, reason: `more than ${maxTensors} tensors` })
  const tensors: StoredTensor[] = []
  const others: OtherTensor[] = []
  for (const [name, value] of entries) {
    const malformed = (reason: string): never =>
      fail('weights.malformed', { file: file.path, reason, tensor: name.slice(0, maxNameLength) })
    if (name.length > maxNameLength) malformed(`a name of ${name.length} characters`)
    if (!(value instanceof TorchTensor)) malformed('it is no tensor')
    else add(file, name, value, place(value.storage), tensors, others)
  }
  return { tensors, others }
}

function add(
  file: WeightFile,
  name: string,
  tensor: TorchTensor,
  start: number,
  tensors: StoredTensor[],
  others: OtherTensor[],
): void {
  const { storage, shape, contiguous } = tensor
  const { dtype, elementBytes } = storage
  const offset = start + tensor.offset * elementBytes
  const length = elementCount(shape)! * elementBytes
  const format = weightFormats.get(dtype)
  const bytes = () =>
    contiguous ? file.bytes(offset, length) : gather(file.bytes(start, storage.elements * elementBytes), tensor)
  if (!format) others.push({ name, file: file.path, dtype, shape, bytes })
  else if (contiguous) tensors.push(storedTensor(file, { name, offset, format, shape }, length))
  else tensors.push({ name, file: file.path, offset, format, shape, bytes })
}

interface Parsed {
  readonly entries: ReadonlyMap<string, unknown>
  readonly place: Places
}

/** Since PyTorch 1.6: an archive of `NAME/data.pkl` and of `NAME/data/KEY` for each storage. */
function readArchive(file: WeightFile): Parsed {
  const zip = readZip(file)
  const path = [...zip.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name))
  const malformed = (reason: string): never => fail('weights.malformed', { file: file.path, reason })
  if (path === undefined) return malformed('the archive has no data.pkl')
  const root = path.slice(0, -'data.pkl'.length)
  const order = zip.get(`${root}byteorder`)
  if (order && (order.size !== 6 || Buffer.from(file.bytes(order.offset, 6)).toString('latin1') !== 'little')) {
    malformed('its numbers are not little-endian')
  }
  const pickle = zip.get(path)!
  const cursor: Cursor = new Cursor(part(file, pickle.offset, pickle.size, 'data.pkl'), maxPickleBytes)
  const value = unpickle(cursor, torchWorld(cursor))
  const place = ({ key, elements, elementBytes }: Storage) => {
    const entry = zip.get(`${root}data/${key}`)
    if (!entry || entry.size !== elements * elementBytes)
      return malformed(`storage ${key} has not the ${elements} elements it should have`)
    return entry.offset
  }
  return { entries: entriesOf(cursor, value), place }
}

/** Before: four pickles (magic number, version, machine, tensors), one of keys, and each storage behind its length. */
function readLegacy(file: WeightFile): Parsed {
  const cursor: Cursor = new Cursor(file, maxPickleBytes)
  const plain = { knows: () => false, find: () => cursor.fail('a persistent id'), call: () => cursor.fail('a call') }
  if (unpickle(cursor, plain) !== legacyMagic) cursor.fail('no file of PyTorch', 0)
  if (unpickle(cursor, plain) !== legacyVersion) cursor.fail('of an unknown version')
  const machine = unpickle(cursor, plain)
  if (!(machine instanceof Dict) || machine.entries.get('little_endian') !== true)
    cursor.fail('its numbers are not little-endian')
  const storages = new Map<string, Storage>()
  const world = torchWorld(cursor)
  const value = unpickle(cursor, {
    ...world,
    find: (id) => {
      const storage = world.find(id)
      if (storage instanceof Storage) remember(cursor, storages, storage)
      return storage
    },
  })
  const keys = unpickle(cursor, plain)
  if (!(keys instanceof List)) cursor.fail('no list of storages')
  const places = placeLegacy(file, cursor, keys.items, storages)
  const place = ({ key }: Storage) => places.get(key) ?? cursor.fail(`storage ${key} is not there`)
  return { entries: entriesOf(cursor, value), place }
}

function remember(cursor: Cursor, storages: Map<string, Storage>, storage: Storage): void {
  const { key, elements, dtype } = storages.get(storage.key) ?? storage
  if (elements !== storage.elements || dtype !== storage.dtype) cursor.fail(`storage ${key} is of two kinds`)
  storages.set(key, storage)
}

/** Storages follow one another, each behind its number of elements in eight bytes. */
function placeLegacy(
  file: WeightFile,
  cursor: Cursor,
  keys: readonly unknown[],
  storages: ReadonlyMap<string, Storage>,
): ReadonlyMap<string, number> {
  const places = new Map<string, number>()
  let at = cursor.offset
  for (const key of keys) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined
    if (!storage) cursor.fail('a storage that no tensor uses', at)
    const bytes = storage.elements * storage.elementBytes
    if (at + 8 + bytes > file.size) cursor.fail('the file ends in the middle of a storage', at)
    if (Buffer.from(file.bytes(at, 8)).readBigUInt64LE() !== BigInt(storage.elements))
      cursor.fail('a storage of another size', at)
    places.set(storage.key, at + 8)
    at += 8 + bytes
  }
  return places
}

function entriesOf(cursor: Cursor, value: unknown): ReadonlyMap<string, unknown> {
  return value instanceof Dict ? value.entries : cursor.fail('no dict of tensors')
}
