import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fail, LoquentError } from '../base/errors.ts'
import { type ModelCache, modelCache } from './cache.ts'
import { chooseFiles } from './choose.ts'
import { downloadFile } from './download-file.ts'
import { type Connection, linkedController } from './http.ts'
import { fetchCommit, fetchFiles, type HubFile } from './model-files.ts'
import { checkRevision, isCommit, isModelId } from './model-id.ts'
import { defaultCacheDir, defaultEndpoint, defaultPatience, type HubOptions, maxParallelFiles } from './options.ts'

/** A model on disk. */
export interface Snapshot {
  /** The folder its files are in. */
  readonly path: string
  readonly commit: string
}

/**
 * Brings the model `id` into the cache, or finds it there, and says where it is.
 *
 * @throws LoquentError `hub.not_found`, `hub.denied`, `hub.rate_limited`, `hub.unreachable`, `hub.offline`, `hub.damaged`,
 *   `hub.disk`, `hub.failed`, `option.invalid`, `request.aborted`
 */
export async function downloadModel(id: string, options: HubOptions = {}): Promise<Snapshot> {
  if (!isModelId(id)) fail('option.invalid', { name: 'model', reason: `"${id}" is no id of a model on the hub` })
  const revision = checkRevision(options.revision ?? 'main')
  const cache = modelCache(options.cacheDir ?? defaultCacheDir(), id)
  if (options.offline) return fromCache(id, cache, revision, options)
  const connection = connect(id, options)
  try {
    const commit = isCommit(revision) ? revision : await fetchCommit(connection, revision)
    const files = await fetchFiles(connection, commit)
    await downloadAll(connection, cache, commit, choose(id, files, options), options)
    cache.remember(revision, commit)
    return { path: cache.snapshot(commit), commit }
  } catch (error) {
    return useOld(error, id, cache, revision, options)
  }
}

function connect(model: string, options: HubOptions): Connection {
  const endpoint = (options.endpoint ?? defaultEndpoint).replace(/\/+$/, '')
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    fail('option.invalid', { name: 'endpoint', reason: `"${endpoint}" is no http address` })
  }
  const { token, signal } = options
  const patience = { ...defaultPatience, ...options.patience }
  return { endpoint, model, patience, ...(token && { token }), ...(signal && { signal }) }
}

function choose(id: string, files: readonly HubFile[], options: HubOptions): readonly HubFile[] {
  const paths = new Set(
    chooseFiles(
      id,
      files.map(({ path }) => path),
      options,
    ),
  )
  return files.filter(({ path }) => paths.has(path))
}

/** Several files at a time; the first failure ends the others. */
async function downloadAll(
  connection: Connection,
  cache: ModelCache,
  commit: string,
  files: readonly HubFile[],
  { onProgress }: HubOptions,
): Promise<void> {
  const failed = linkedController(connection.signal)
  const { signal } = failed
  const sizes = files.map(({ size }) => size ?? 0)
  const received = files.map(() => 0)
  let filesDone = 0
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
  const one = async (index: number) => {
    const file = files[index]!
    const report = (fileReceived: number, fileBytes: number) => {
      received[index] = fileReceived
      sizes[index] = fileBytes
      const all = { received: sum(received), bytes: sum(sizes), filesDone, files: files.length }
      onProgress?.({ file: file.path, fileReceived, fileBytes, ...all })
    }
    // A snapshot never changes: what is there is there.
    const present = cache.sizeOf(commit, file.path)
    if (present === undefined || (file.size !== undefined && present !== file.size)) {
      await downloadFile({ connection: { ...connection, signal }, cache, commit, file, onBytes: report })
    }
    filesDone++
    const size = cache.sizeOf(commit, file.path) ?? 0
    report(size, size)
  }
  let next = 0
  let first: unknown
  const lane = async () => {
    while (next < files.length && !signal.aborted) {
      await one(next++).catch((error) => {
        first ??= error
        failed.abort()
      })
    }
  }
  await Promise.all(Array.from({ length: maxParallelFiles }, lane))
  if (signal.aborted) throw first ?? new LoquentError('request.aborted')
}

/** A hub that does not answer is no reason to stop, where a whole copy is here. */
function useOld(error: unknown, id: string, cache: ModelCache, revision: string, options: HubOptions): Snapshot {
  const passing =
    error instanceof LoquentError && (error.code === 'hub.unreachable' || error.code === 'hub.rate_limited')
  if (!passing || whyIncomplete(id, cache, revision, options) !== undefined) throw error
  options.onNotice?.(`${error.message}; using the copy in the cache, which may be old`)
  return fromCache(id, cache, revision, options)
}

function fromCache(model: string, cache: ModelCache, revision: string, options: HubOptions): Snapshot {
  const reason = whyIncomplete(model, cache, revision, options)
  if (reason !== undefined) fail('hub.offline', { model, reason })
  const commit = cache.commitOf(revision)!
  return { path: cache.snapshot(commit), commit }
}

/** What a model in the cache lacks, as far as its own files tell. */
function whyIncomplete(model: string, cache: ModelCache, revision: string, options: HubOptions): string | undefined {
  const commit = cache.commitOf(revision)
  if (commit === undefined) return `nothing of revision ${revision} is in ${cache.path}`
  const paths = cache.list(commit)
  try {
    const chosen = chooseFiles(model, paths, options)
    const absent = chosen
      .flatMap((path) => shardsOf(cache.snapshot(commit), path))
      .find((shard) => !paths.includes(shard))
    return absent && `${absent} is missing in ${cache.snapshot(commit)}`
  } catch (error) {
    if (error instanceof LoquentError) return error.message
    throw error
  }
}

function shardsOf(folder: string, path: string): readonly string[] {
  if (!path.endsWith('.index.json')) return []
  try {
    return Object.values(
      (JSON.parse(readFileSync(join(folder, path), 'utf8')) as { weight_map: Record<string, string> }).weight_map,
    )
  } catch {
    // Who opens the model says what is wrong with it.
    return []
  }
}
