import { createHash, type Hash } from 'node:crypto'
import { createReadStream, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { diskFailure } from './cache.ts'

/** A part that was not written for so long belongs to no running download; a live one is cut off sooner when it falls silent. */
const abandonedMs = 120_000

/** Bytes gathered for one write: pieces come in tens of kilobytes, and a write goes to another thread and back. */
const writeBytes = 2 ** 20

export type Digest = { readonly algorithm: 'sha256' | 'sha1'; readonly hex: string }

/**
 * The beginning of a blob. Between downloads it is `ETAG.incomplete`; the download that works on it has renamed it, so
 * that two processes never write one file.
 */
export class PartFile {
  readonly path: string
  readonly #resting: string
  readonly #handle: FileHandle
  readonly #newHash: () => Hash
  #hash: Hash
  #size = 0
  #pending: Uint8Array[] = []
  #pendingBytes = 0

  private constructor(path: string, resting: string, handle: FileHandle, newHash: () => Hash) {
    this.path = path
    this.#resting = resting
    this.#handle = handle
    this.#newHash = newHash
    this.#hash = newHash()
  }

  /** Takes over the part of `etag` that an earlier download left in `blobs`, if there is one of at most `bytes`. */
  static async claim(blobs: string, etag: string, bytes: number, digest: Digest | undefined): Promise<PartFile> {
    const resting = join(blobs, `${etag}.incomplete`)
    const path = join(blobs, `${etag}.${process.pid}-${Math.random().toString(36).slice(2, 10)}.incomplete`)
    try {
      mkdirSync(blobs, { recursive: true })
      takeOver(blobs, etag, path)
      const handle = await open(path, 'a')
      const part = new PartFile(path, resting, handle, () => beginHash(digest, bytes))
      await part.#readBack(bytes)
      return part
    } catch (error) {
      return diskFailure(path, error)
    }
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size
  }

  async append(piece: Uint8Array): Promise<void> {
    this.#hash.update(piece)
    this.#size += piece.length
    this.#pending.push(piece)
    this.#pendingBytes += piece.length
    if (this.#pendingBytes >= writeBytes) await this.#flush()
  }

  async restart(): Promise<void> {
    this.#pending = []
    this.#pendingBytes = 0
    await this.#handle.truncate(0).catch((error) => diskFailure(this.path, error))
    this.#hash = this.#newHash()
    this.#size = 0
  }

  /** Hash of all bytes so far. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  /** Makes the part the blob. */
  async finish(blob: string): Promise<void> {
    await this.#flush()
    try {
      // The name must not reach the disk before the bytes do.
      await this.#handle.sync()
      await this.#handle.close()
      renameSync(this.path, blob)
    } catch (error) {
      diskFailure(blob, error)
    }
  }

  /** Leaves the part for another download to go on with; nothing of an empty one. */
  async rest(): Promise<void> {
    // What cannot be written is fetched again.
    await this.#flush().catch(() => {})
    await this.#handle.close()
    if (this.#size === 0) rmSync(this.path, { force: true })
    else renameSync(this.path, this.#resting)
  }

  async #flush(): Promise<void> {
    const bytes = this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending)
    this.#pending = []
    this.#pendingBytes = 0
    try {
      // A write may take less than it is given.
      for (let done = 0; done < bytes.length; ) done += (await this.#handle.write(bytes, done)).bytesWritten
    } catch (error) {
      diskFailure(this.path, error)
    }
  }

  async #readBack(bytes: number): Promise<void> {
    const { size } = await this.#handle.stat()
    if (size > bytes) await this.#handle.truncate(0)
    else if (size > 0) {
      for await (const piece of createReadStream(this.path, { highWaterMark: 2 ** 20 })) {
        this.#hash.update(piece)
        this.#size += piece.length
      }
    }
  }
}

/** Git hashes a file with a header in front of it. */
function beginHash(digest: Digest | undefined, bytes: number): Hash {
  const hash = createHash(digest?.algorithm ?? 'sha256')
  return digest?.algorithm === 'sha1' ? hash.update(`blob ${bytes}\0`) : hash
}

/** Renames to `path` what another download left behind, the longest first. Who renames it has it. */
function takeOver(blobs: string, etag: string, path: string): void {
  const left = readdirSync(blobs).filter((name) => name.startsWith(`${etag}.`) && name.endsWith('.incomplete'))
  const parts = left.map((name) => ({ name, stat: statSync(join(blobs, name), { throwIfNoEntry: false }) }))
  parts.sort((a, b) => (b.stat?.size ?? 0) - (a.stat?.size ?? 0))
  const free = parts.find(
    ({ name, stat }) => name === `${etag}.incomplete` || (stat && Date.now() - stat.mtimeMs > abandonedMs),
  )
  if (!free) return
  try {
    renameSync(join(blobs, free.name), path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
