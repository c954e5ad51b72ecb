import { fail } from '../base/errors.ts'
import { type Connection, persist, refuse, send } from './http.ts'
import { isCommit, isSafePath } from './model-id.ts'
import { maxFiles, maxListBytes } from './options.ts'

/** A file of a model, as the hub lists it. */
export interface HubFile {
  readonly path: string
  /** Bytes. */
  readonly size?: number
  /** SHA-256, of files in large file storage. */
  readonly sha256?: string
  /** Git's id of the file, or of the pointer to it. */
  readonly gitId?: string
}

/** Which commit a revision is. */
export async function fetchCommit(connection: Connection, revision: string): Promise<string> {
  const url = `${api(connection)}/revision/${encodeURIComponent(revision)}`
  const { value } = await fetchJson(connection, url, 'revision')
  const sha = (value as { sha?: unknown } | null)?.sha
  return typeof sha === 'string' && isCommit(sha) ? sha : fail('hub.failed', { url, reason: 'it names no commit' })
}

/** All files of a commit; the list may come in pages. */
export async function fetchFiles(connection: Connection, commit: string): Promise<readonly HubFile[]> {
  const files: HubFile[] = []
  let url: string | undefined = `${api(connection)}/tree/${commit}?recursive=true`
  while (url) {
    const page: { value: unknown; next: string | undefined } = await fetchJson(connection, url, 'revision')
    if (!Array.isArray(page.value)) fail('hub.failed', { url, reason: 'the list of files is no list' })
    for (const entry of page.value) if (entry?.type === 'file') files.push(readEntry(url, entry))
    if (files.length > maxFiles) fail('hub.failed', { url, reason: `more than ${maxFiles} files` })
    // A page without files would let a server lead us on for ever.
    if (page.next && page.value.length === 0) fail('hub.failed', { url, reason: 'an empty page, and more to come' })
    url = page.next
  }
  return files
}

const api = ({ endpoint, model }: Connection) => `${endpoint}/api/models/${model}`

function readEntry(url: string, { path, size, oid, lfs }: Readonly<Record<string, unknown>>): HubFile {
  if (typeof path !== 'string' || !isSafePath(path))
    fail('hub.failed', { url, reason: `it lists a file ${JSON.stringify(path)}` })
  const sha256 = (lfs as { oid?: unknown } | undefined)?.oid
  return {
    path,
    ...(Number.isSafeInteger(size) && (size as number) >= 0 ? { size: size as number } : {}),
    ...(typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) ? { sha256 } : {}),
    ...(typeof oid === 'string' && isCommit(oid) ? { gitId: oid } : {}),
  }
}

async function fetchJson(connection: Connection, url: string, what: string) {
  return persist(connection, async () => {
    const answer = await send(connection, url, { leave: false })
    if (answer.response.status !== 200) refuse(connection, answer, what)
    const pieces: Uint8Array[] = []
    let length = 0
    for await (const piece of answer.body()) {
      length += piece.length
      if (length > maxListBytes) fail('hub.failed', { url, reason: `an answer of more than ${maxListBytes} bytes` })
      pieces.push(piece)
    }
    try {
      return {
        value: JSON.parse(Buffer.concat(pieces).toString()) as unknown,
        next: nextPage(connection, url, answer.response),
      }
    } catch (error) {
      return fail('hub.failed', { url, reason: 'its answer is no JSON' }, error)
    }
  })
}

/** `Link: <url>; rel="next"`; pages are at the endpoint, whatever the header says. */
function nextPage({ endpoint }: Connection, url: string, { headers }: Response): string | undefined {
  const link = headers.get('link')?.match(/<([^>]+)>\s*;\s*rel="?next"?/)?.[1]
  if (link === undefined) return undefined
  const next = new URL(link, url)
  return new URL(endpoint).origin + next.pathname + next.search
}
