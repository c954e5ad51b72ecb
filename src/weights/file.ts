import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { assert } from '../base/assert.ts'
import { fail } from '../base/errors.ts'
import type { MapFile } from './catalog.ts'

/** A file of weights, to be read anywhere. */
export interface WeightFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** A view of the mapping, or a fresh copy where nothing is mapped. The caller has checked that the range is inside. */
  bytes(offset: number, length: number): Uint8Array
  close(): void
}

/** Most that one read call is asked for; the system takes no more than 2 GiB at a time. */
const readBytes = 2 ** 30

/** Opens `path`; throws `model.not_found` when it cannot be. With `mapFile` nothing is read until it is touched. */
export function openFile(path: string, mapFile?: MapFile): WeightFile {
  const descriptor = openDescriptor(path)
  const size = fstatSync(descriptor).size
  // An empty range cannot be mapped.
  if (!mapFile || size === 0) return readFile(path, descriptor, size)
  closeSync(descriptor)
  return mappedFile(path, mapFile(path))
}

function openDescriptor(path: string): number {
  try {
    // Asked before opening: to open a pipe may take for ever.
    if (statSync(path).isFile()) return openSync(path, 'r')
  } catch (error) {
    fail('model.not_found', { path, reason: error instanceof Error ? error.message : String(error) }, error)
  }
  return fail('model.not_found', { path, reason: 'it is no regular file' })
}

/** A file whose bytes all lie in `buffer`. */
export function mappedFile(path: string, buffer: ArrayBuffer): WeightFile {
  let mapped: ArrayBuffer | undefined = buffer
  return {
    path,
    size: buffer.byteLength,
    bytes(offset, length) {
      assert(mapped, `${path} is closed`)
      return viewable(path, length, () => new Uint8Array(mapped!, offset, length))
    },
    close() {
      mapped = undefined
    },
  }
}

function readFile(path: string, descriptor: number, size: number): WeightFile {
  let open = true
  return {
    path,
    size,
    bytes(offset, length) {
      assert(open, `${path} is closed`)
      assert(offset + length <= size, `read past the end of ${path}`)
      const bytes = viewable(path, length, () => new Uint8Array(length))
      for (let done = 0; done < length; ) {
        const got = readSync(descriptor, bytes, done, Math.min(length - done, readBytes), offset + done)
        if (got === 0) {
          fail('weights.malformed', { file: path, reason: 'the file shrank while in use', offset: offset + done })
        }
        done += got
      }
      return bytes
    },
    close() {
      if (open) closeSync(descriptor)
      open = false
    },
  }
}

/** Some Node.js versions hold no more than 4 GiB in a view; the RangeError they throw would name neither file nor reason. */
function viewable(path: string, length: number, make: () => Uint8Array): Uint8Array {
  try {
    return make()
  } catch (error) {
    fail('engine.memory', { reason: `this Node.js cannot hold ${length} bytes of ${path} in one piece` }, error)
  }
}
