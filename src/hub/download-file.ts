import { statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, LoquentError } from '../base/errors.ts'
import type { ModelCache } from './cache.ts'
import { type Answer, type Connection, Passing, persist, refuse, send } from './http.ts'
import type { HubFile } from './model-files.ts'
import { isCommit } from './model-id.ts'
import { maxAttempts } from './options.ts'
import { type Digest, PartFile } from './part-file.ts'

export interface FileJob {
  readonly connection: Connection
  readonly cache: ModelCache
  readonly commit: string
  readonly file: HubFile
  /** Bytes that are here, and how many there will be. */
  readonly onBytes: (received: number, bytes: number) => void
}

/** Brings one file of a commit into the cache, or finds it there. A download cut short goes on where it ended. */
export async function downloadFile(job: FileJob): Promise<void> {
  const { connection, cache, commit, file, onBytes } = job
  const facts = await fetchFacts(job)
  const blob = join(cache.blobs, facts.etag)
  if (statSync(blob, { throwIfNoEntry: false })?.size !== facts.bytes) {
    const part = await PartFile.claim(cache.blobs, facts.etag, facts.bytes, facts.digest)
    try {
      await checkSpace(cache.blobs, facts.bytes - part.size)
      await persist(connection, (progressed) => receive(job, facts, part, progressed), maxAttempts)
      await verify(job, facts, part)
      await part.finish(blob)
    } catch (error) {
      await part.rest()
      throw error
    }
  }
  cache.point(commit, file.path, facts.etag)
  onBytes(facts.bytes, facts.bytes)
}

interface FileFacts {
  readonly etag: string
  readonly bytes: number
  /** What the bytes must hash to, where the hub says it. */
  readonly digest: Digest | undefined
}

/** What the endpoint says of the file: it names blobs by the ETag of the content, even where the content is elsewhere. */
async function fetchFacts({ connection, commit, file }: FileJob): Promise<FileFacts> {
  const url = fileUrl(connection, commit, file)
  const { status, headers } = await persist(connection, async () => {
    const answer = await send(connection, url, { method: 'HEAD', leave: false })
    if (answer.response.status >= 400) refuse(connection, answer, `file ${file.path}`)
    return answer.response
  })
  const of = headers.get('x-repo-commit')
  if (of !== null && of !== commit) fail('hub.failed', { url, reason: `the file is of commit ${of}` })
  const etag = plainEtag(headers.get('x-linked-etag') ?? headers.get('etag'))
  if (etag === undefined) fail('hub.failed', { url, reason: 'it names no ETag' })
  // The length of a redirect is that of its own body.
  const length = headers.get('x-linked-size') ?? (status < 300 ? headers.get('content-length') : null)
  const bytes = length === null ? file.size : Number(length)
  if (!Number.isSafeInteger(bytes) || bytes! < 0) fail('hub.failed', { url, reason: 'it gives no size' })
  return { etag, bytes: bytes!, digest: digestOf(etag, file) }
}

/** `"abc"`, `W/"abc"` or `abc`; undefined for what should not be the name of a file. */
function plainEtag(header: string | null): string | undefined {
  return header?.match(/^(?:W\/)?"?([\w-][\w.-]{0,127})"?$/)?.[1]
}

function digestOf(etag: string, { sha256, gitId }: HubFile): Digest | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return { algorithm: 'sha256', hex: etag }
  if (sha256) return { algorithm: 'sha256', hex: sha256 }
  // Other servers have ETags of the same form that mean something else.
  return isCommit(etag) && etag === gitId ? { algorithm: 'sha1', hex: etag } : undefined
}

const fileUrl = ({ endpoint, model }: Connection, commit: string, { path }: HubFile) =>
  `${endpoint}/${model}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`

async function checkSpace(path: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path)
  if (bytes > bavail * bsize)
    fail('hub.disk', { path, reason: `${bytes} bytes are needed and ${bavail * bsize} are free` })
}

/** One attempt to get what is missing of the file. */
async function receive(job: FileJob, { bytes }: FileFacts, part: PartFile, progressed: () => void): Promise<void> {
  const { connection, commit, file, onBytes } = job
  onBytes(part.size, bytes)
  if (part.size === bytes) return
  const from = part.size
  const range = from > 0 ? { range: `bytes=${from}-` } : {}
  const answer = await send(connection, fileUrl(connection, commit, file), { leave: true, ...range })
  if (answer.response.status !== 200 && answer.response.status !== 206) refuse(connection, answer, `file ${file.path}`)
  if (from > 0 && !continuesAt(answer, from)) await part.restart()
  for await (const piece of answer.body()) {
    if (part.size + piece.length > bytes) await damaged(part, file, `more than the ${bytes} bytes it should have`)
    await part.append(piece)
    progressed()
    onBytes(part.size, bytes)
  }
  if (part.size < bytes) {
    const reason = `${file.path} ended at ${part.size} of ${bytes} bytes`
    throw new Passing(new LoquentError('hub.unreachable', { url: connection.endpoint, reason }))
  }
}

/** A server may ignore the range and send all. */
function continuesAt({ response }: Answer, from: number): boolean {
  return response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`) === true
}

/** Bytes that are wrong are not kept to go on from. */
async function damaged(part: PartFile, { path }: HubFile, reason: string): Promise<never> {
  await part.restart()
  return fail('hub.damaged', { file: path, reason })
}

async function verify({ connection, file, ...job }: FileJob, facts: FileFacts, part: PartFile): Promise<void> {
  const { digest } = facts
  if (!digest || part.digest() === digest.hex) return
  // The bytes may have been left by a crash of the machine: once more, from the beginning.
  await part.restart()
  await persist(connection, (progressed) => receive({ connection, file, ...job }, facts, part, progressed), maxAttempts)
  const found = part.digest()
  if (found !== digest.hex) await damaged(part, file, `${digest.algorithm} ${found} where ${digest.hex} should be`)
}
