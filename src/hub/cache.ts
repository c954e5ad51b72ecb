import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fail } from '../base/errors.ts'
import { isCommit } from './model-id.ts'

/**
 * One model's folder in the cache that `huggingface_hub` and others share: `blobs/` holds the bytes by ETag, `snapshots/COMMIT/`
 * has links to them by path, `refs/` says which commit a branch was at.
 */
export interface ModelCache {
  readonly path: string
  readonly blobs: string
  snapshot(commit: string): string
  /** The commit that `revision` was when it was last looked up. */
  commitOf(revision: string): string | undefined
  remember(revision: string, commit: string): void
  /** Bytes of a file of a snapshot; undefined where it is not there. */
  sizeOf(commit: string, file: string): number | undefined
  /** Gives the blob `etag` the name `file` in a snapshot. */
  point(commit: string, file: string, etag: string): void
  /** Paths of the files in a snapshot. */
  list(commit: string): readonly string[]
}

/** The folder of `model` in the cache; nothing is made before it is needed. */
export function modelCache(cacheDir: string, model: string): ModelCache {
  const path = join(cacheDir, `models--${model.replaceAll('/', '--')}`)
  const blobs = join(path, 'blobs')
  const snapshot = (commit: string) => join(path, 'snapshots', commit)
  return {
    path,
    blobs,
    snapshot,
    commitOf: (revision) => (isCommit(revision) ? revision : readRef(join(path, 'refs', revision))),
    remember: (revision, commit) => {
      if (!isCommit(revision) && readRef(join(path, 'refs', revision)) !== commit)
        replace(join(path, 'refs', revision), (to) => writeFileSync(to, commit))
    },
    sizeOf: (commit, file) => statSync(join(snapshot(commit), file), { throwIfNoEntry: false })?.size,
    point: (commit, file, etag) =>
      writing(path, () => replace(join(snapshot(commit), file), (to) => link(join(blobs, etag), to))),
    list: (commit) => listFiles(snapshot(commit)),
  }
}

function readRef(path: string): string | undefined {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return undefined
  const commit = readFileSync(path, 'utf8').trim()
  return isCommit(commit) ? commit : undefined
}

/** Makes a new file beside `path` and moves it there, so that no one sees half of it. */
function replace(path: string, make: (to: string) => void): void {
  mkdirSync(dirname(path), { recursive: true })
  const beside = `${path}.${process.pid}.new`
  rmSync(beside, { force: true })
  make(beside)
  renameSync(beside, path)
}

/** Links are relative, so that a cache can be moved. Where links are not allowed, another name of the file, or a copy. */
function link(blob: string, path: string): void {
  const made = [() => symlinkSync(relative(dirname(path), blob), path), () => linkSync(blob, path)].some(succeeds)
  if (!made) copyFileSync(blob, path)
}

function succeeds(make: () => void): boolean {
  try {
    make()
    return true
  } catch {
    return false
  }
}

function listFiles(path: string): readonly string[] {
  if (!statSync(path, { throwIfNoEntry: false })) return []
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' })
  const isFile = (name: string) => statSync(join(path, name), { throwIfNoEntry: false })?.isFile()
  return names.filter(isFile).map((name) => name.replaceAll('\\', '/'))
}

/** Runs `write`; a full disk or a folder without permission becomes `hub.disk`. */
export function writing<T>(path: string, write: () => T): T {
  try {
    return write()
  } catch (error) {
    return diskFailure(path, error)
  }
}

export function diskFailure(path: string, error: unknown): never {
  const { code } = error as NodeJS.ErrnoException
  const reason =
    code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : error instanceof Error ? error.message : String(error)
  return fail('hub.disk', { path, reason }, error)
}
