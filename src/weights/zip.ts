import { fail } from '../base/errors.ts'
import { Cursor } from './cursor.ts'
import type { WeightFile } from './file.ts'
import { maxTensors } from './stored.ts'

/** Most the list of entries may take; about a hundred bytes an entry are usual. */
const maxDirectoryBytes = 2 ** 25
const maxNameBytes = 1024
/** A comment may follow the end record; PyTorch writes none. */
const maxCommentBytes = 0xffff

const endRecord = { signature: 0x06054b50, bytes: 22 }
const bigEndLocator = { signature: 0x07064b50, bytes: 20 }
const bigEndRecord = { signature: 0x06064b50, bytes: 56 }
const entryRecord = { signature: 0x02014b50, bytes: 46 }
const localRecord = { signature: 0x04034b50, bytes: 30 }
/** In fields of 16 and 32 bits: the value is elsewhere, in 64. */
const elsewhere = { u16: 0xffff, u32: 0xffffffff }
const bigSizesTag = 1

/** The bytes of one entry, which lie in the archive as they are. */
export interface ZipEntry {
  readonly offset: number
  readonly size: number
}

interface Directory {
  readonly entries: number
  readonly offset: number
  readonly size: number
}

/**
 * Lists an archive of stored (not compressed) entries, as PyTorch writes them: PKWARE's APPNOTE, zip64 included. Throws
 * `weights.malformed`. The CRCs are not looked at: they would have every byte of the weights read.
 */
export function readZip(file: WeightFile): ReadonlyMap<string, ZipEntry> {
  const directory = findDirectory(file)
  const cursor = new Cursor(part(file, directory.offset, directory.size), directory.size)
  const entries = new Map<string, ZipEntry>()
  for (let i = 0; i < directory.entries; i++) {
    const { name, ...entry } = readEntry(file, cursor, directory.offset)
    if (entries.has(name)) malformed(file, `two entries ${JSON.stringify(name)}`, entry.offset)
    entries.set(name, entry)
  }
  return entries
}

/** A range of a file as a file of its own; the caller has checked that it lies inside. */
export function part(file: WeightFile, start: number, size: number, name = ''): WeightFile {
  const path = name === '' ? file.path : `${file.path} (${name})`
  return { path, size, bytes: (offset, length) => file.bytes(start + offset, length), close: () => {} }
}

function malformed(file: WeightFile, reason: string, offset: number): never {
  fail('weights.malformed', { file: file.path, reason, offset })
}

function view(file: WeightFile, offset: number, length: number): DataView {
  if (offset < 0 || offset + length > file.size) malformed(file, 'the archive ends in the middle of a record', offset)
  const bytes = file.bytes(offset, length)
  return new DataView(bytes.buffer, bytes.byteOffset, length)
}

function findDirectory(file: WeightFile): Directory {
  const at = findEnd(file)
  const end = view(file, at, endRecord.bytes)
  const small = { entries: end.getUint16(10, true), size: end.getUint32(12, true), offset: end.getUint32(16, true) }
  const big =
    small.entries === elsewhere.u16 || small.size === elsewhere.u32 || small.offset === elsewhere.u32
      ? readBigEnd(file, at)
      : undefined
  const { entries, size, offset } = big ?? small
  if (offset + size > at) malformed(file, 'the list of entries is not inside the file', at)
  if (size > maxDirectoryBytes)
    malformed(file, `the list of entries is ${size} bytes long; ${maxDirectoryBytes} are allowed`, at)
  if (entries > 2 * maxTensors) malformed(file, `more than ${2 * maxTensors} entries`, at)
  return { entries, size, offset }
}

/** The last place where an end record could begin. */
function findEnd(file: WeightFile): number {
  const from = Math.max(0, file.size - endRecord.bytes - maxCommentBytes)
  const tail = view(file, from, file.size - from)
  for (let at = tail.byteLength - endRecord.bytes; at >= 0; at--) {
    if (tail.getUint32(at, true) !== endRecord.signature) continue
    if (at + endRecord.bytes + tail.getUint16(at + 20, true) === tail.byteLength) return from + at
  }
  return malformed(file, 'no archive: it has no end record', from)
}

function readBigEnd(file: WeightFile, end: number): Directory {
  const locator = view(file, end - bigEndLocator.bytes, bigEndLocator.bytes)
  if (locator.getUint32(0, true) !== bigEndLocator.signature) malformed(file, 'no zip64 end record', end)
  const at = size64(file, locator, 8, end)
  const record = view(file, at, bigEndRecord.bytes)
  if (record.getUint32(0, true) !== bigEndRecord.signature) malformed(file, 'no zip64 end record', at)
  return {
    entries: size64(file, record, 32, at),
    size: size64(file, record, 40, at),
    offset: size64(file, record, 48, at),
  }
}

/** A u64 that is a place or a length in the file. */
function size64(file: WeightFile, from: DataView, at: number, offset: number): number {
  const value = from.getBigUint64(at, true)
  return value <= BigInt(file.size) ? Number(value) : malformed(file, `${value} is past the end of the file`, offset)
}

function readEntry(file: WeightFile, cursor: Cursor, start: number): ZipEntry & { readonly name: string } {
  const at = start + cursor.offset
  const head = cursor.view(entryRecord.bytes)
  if (head.getUint32(0, true) !== entryRecord.signature) malformed(file, 'the list of entries is broken', at)
  if (head.getUint16(8, true) & 1) malformed(file, 'an encrypted entry', at)
  if (head.getUint16(10, true) !== 0) malformed(file, 'a compressed entry', at)
  const nameBytes = head.getUint16(28, true)
  if (nameBytes > maxNameBytes) malformed(file, `an entry with a name of ${nameBytes} bytes`, at)
  const name = cursor.utf8('name of an entry', nameBytes)
  const extra = cursor.view(head.getUint16(30, true))
  cursor.view(head.getUint16(32, true))
  const [size, packed, offset] = bigSizes(
    file,
    extra,
    [head.getUint32(24, true), head.getUint32(20, true), head.getUint32(42, true)],
    at,
  )
  if (size !== packed) malformed(file, `entry ${JSON.stringify(name)} has two sizes`, at)
  // The name and extra fields of the local record need not be as long as here.
  const local = view(file, offset!, localRecord.bytes)
  if (local.getUint32(0, true) !== localRecord.signature)
    malformed(file, `entry ${JSON.stringify(name)} begins nowhere`, offset!)
  const data = offset! + localRecord.bytes + local.getUint16(26, true) + local.getUint16(28, true)
  if (data + size! > start) malformed(file, `entry ${JSON.stringify(name)} is not inside the file`, data)
  return { name, offset: data, size: size! }
}

/** Fills in, in order, those of `fields` that are given elsewhere: in the extra field of 64-bit sizes. */
function bigSizes(file: WeightFile, extra: DataView, fields: readonly number[], offset: number): readonly number[] {
  if (!fields.includes(elsewhere.u32)) return fields
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== bigSizesTag) continue
    let next = at + 4
    const end = next + extra.getUint16(at + 2, true)
    return fields.map((value) => {
      if (value !== elsewhere.u32) return value
      if (next + 8 > Math.min(end, extra.byteLength)) malformed(file, 'sizes of an entry are missing', offset)
      next += 8
      return size64(file, extra, next - 8, offset)
    })
  }
  return malformed(file, 'sizes of an entry are missing', offset)
}
