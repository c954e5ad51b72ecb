import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What one request is answered with instead of the truth. */
export type Trouble =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The connection is cut after this many bytes of the body. */
  | { readonly cutAfter: number }
  /** The body stops after this many bytes, and the connection stays open. */
  | { readonly silentAfter: number }

export interface HubModel {
  readonly files: Readonly<Record<string, Uint8Array | string>>
  /** Kept in large file storage, at another address. */
  readonly large?: readonly string[]
  /** Only this token opens it. */
  readonly token?: string
  readonly gated?: boolean
}

export interface Asked {
  readonly method: string
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
  readonly host: 'hub' | 'storage'
}

/** A hub on the loopback interface, with a second port for large file storage. */
export interface TestHub {
  readonly url: string
  readonly asked: Asked[]
  /** The next requests of `METHOD path-part` meet this, one each. */
  trouble(method: string, part: string, ...troubles: Trouble[]): void
  /** What storage gives for a file instead of its bytes. */
  corrupt(file: string, bytes: Uint8Array): void
  ignoreRanges(): void
  close(): Promise<void>
}

const hex = (algorithm: string, ...parts: (string | Uint8Array)[]) => {
  const hash = createHash(algorithm)
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

/** The commit of a model: a hash of all its files, so that it changes with them. */
export const commitOf = (model: HubModel): string =>
  hex('sha1', JSON.stringify(Object.entries(model.files).map(([k, v]) => [k, hex('sha1', v)])))

/** Files a page of a list. */
const pageSize = 4

/** Serves `models` as the hub does: `/api/models/ID/revision/R`, `/tree/R`, `/ID/resolve/R/PATH`. */
export async function startHub(models: Readonly<Record<string, HubModel>>): Promise<TestHub> {
  const asked: Asked[] = []
  const troubles: { method: string; part: string; trouble: Trouble }[] = []
  const corrupted = new Map<string, Uint8Array>()
  let ranges = true
  let storageUrl = ''

  const listener = (host: Asked['host']) => (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = request
    asked.push({ method, path: url, range: headers.range, authorization: headers.authorization, host })
    const at = troubles.findIndex((t) => t.method === method && `${host}:${url}`.includes(t.part))
    const trouble = at < 0 ? undefined : troubles.splice(at, 1)[0]!.trouble
    if (trouble && 'status' in trouble) response.writeHead(trouble.status, trouble.headers).end()
    else if (host === 'storage') sendStored(url, request, response, trouble)
    else answer(url, request, response, trouble)
  }

  function answer(url: string, request: IncomingMessage, response: ServerResponse, trouble?: Trouble): ServerResponse {
    const { pathname, searchParams } = new URL(url, 'http://hub')
    const route = pathname.match(/^(\/api\/models)?\/(.+?)\/(revision|tree|resolve)\/([^/]+)(?:\/(.+))?$/)
    const id = route?.[2] ?? pathname.replace('/api/models/', '')
    const model = models[id]
    if (!model) return refuse(response, 401, 'RepoNotFound')
    if (model.token && request.headers.authorization !== `Bearer ${model.token}`) {
      const gated = model.gated && request.headers.authorization
      return refuse(response, gated ? 403 : 401, model.gated ? 'GatedRepo' : 'RepoNotFound')
    }
    const commit = commitOf(model)
    if (route && !['main', commit].includes(decodeURIComponent(route[4]!)))
      return refuse(response, 404, 'RevisionNotFound')
    if (route?.[3] === 'resolve') return resolve(id, decodeURIComponent(route[5]!), request, response, trouble)
    const entries = Object.entries(model.files).map(([path, bytes]) => entryOf(model, path, bytes))
    if (route?.[3] !== 'tree') {
      const siblings = entries.map(({ path }) => ({ rfilename: path }))
      return sendJson(response, {
        _id: '0',
        id,
        modelId: id,
        sha: commit,
        private: false,
        gated: false,
        tags: [],
        downloads: 0,
        likes: 0,
        siblings,
      })
    }
    const from = Number(searchParams.get('cursor') ?? 0)
    const more = from + pageSize < entries.length
    const link = `<http://${request.headers.host}${pathname}?recursive=true&cursor=${from + pageSize}>; rel="next"`
    return sendJson(response, entries.slice(from, from + pageSize), more ? { link } : {})
  }

  function resolve(
    id: string,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    trouble?: Trouble,
  ): ServerResponse {
    const model = models[id]!
    const bytes = model.files[path]
    if (bytes === undefined) return refuse(response, 404, 'EntryNotFound')
    const { oid, lfs } = entryOf(model, path, bytes)
    const common = { 'x-repo-commit': commitOf(model), 'accept-ranges': 'bytes' }
    if (!lfs)
      return sendBytes(
        request,
        response,
        corrupted.get(path) ?? Buffer.from(bytes as string),
        { ...common, etag: `"${oid}"` },
        trouble,
      )
    const location = `${storageUrl}/${id}/${encodeURIComponent(path)}?signature=1`
    response.writeHead(302, {
      ...common,
      location,
      'x-linked-etag': `"${lfs.oid}"`,
      'x-linked-size': String(lfs.size),
      'content-length': '0',
    })
    return response.end()
  }

  function sendStored(
    url: string,
    request: IncomingMessage,
    response: ServerResponse,
    trouble?: Trouble,
  ): ServerResponse {
    const { pathname } = new URL(url, 'http://storage')
    const [id, path] = [
      pathname.slice(1, pathname.lastIndexOf('/')),
      decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1)),
    ]
    return sendBytes(
      request,
      response,
      corrupted.get(path) ?? Buffer.from(models[id]!.files[path] as string),
      { etag: '"of-storage"' },
      trouble,
    )
  }

  function sendBytes(
    request: IncomingMessage,
    response: ServerResponse,
    bytes: Uint8Array,
    headers: Record<string, string>,
    trouble?: Trouble,
  ): ServerResponse {
    const asks = ranges ? request.headers.range?.match(/^bytes=(\d+)-(\d*)$/) : undefined
    const from = asks ? Number(asks[1]) : 0
    if (asks && from >= bytes.length)
      return response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
    const to = asks?.[2] ? Math.min(Number(asks[2]) + 1, bytes.length) : bytes.length
    const range = asks ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {}
    response.writeHead(asks ? 206 : 200, { ...headers, ...range, 'content-length': String(to - from) })
    if (request.method === 'HEAD') return response.end()
    const body = bytes.subarray(from, to)
    if (trouble && 'cutAfter' in trouble)
      response.write(body.subarray(0, trouble.cutAfter), () => setTimeout(() => response.destroy(), 20))
    else if (trouble && 'silentAfter' in trouble) response.write(body.subarray(0, trouble.silentAfter))
    else response.end(body)
    return response
  }

  const storage = createServer(listener('storage'))
  const hub = createServer(listener('hub'))
  storageUrl = await listen(storage)
  const url = await listen(hub)
  return {
    url,
    asked,
    trouble: (method, part, ...list) => void troubles.push(...list.map((trouble) => ({ method, part, trouble }))),
    corrupt: (file, bytes) => void corrupted.set(file, bytes),
    ignoreRanges: () => {
      ranges = false
    },
    close: async () => {
      await Promise.all([hub, storage].map(close))
    },
  }
}

function entryOf(model: HubModel, path: string, bytes: Uint8Array | string) {
  const content = Buffer.from(bytes as string)
  const gitId = (of: Uint8Array) => hex('sha1', `blob ${of.length}\0`, of)
  if (!model.large?.includes(path))
    return { type: 'file', path, size: content.length, oid: gitId(content), lfs: undefined }
  const sha256 = hex('sha256', content)
  const pointer = Buffer.from(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${content.length}\n`,
  )
  const lfs = { oid: sha256, size: content.length, pointerSize: pointer.length }
  return { type: 'file', path, size: content.length, oid: gitId(pointer), lfs }
}

function refuse(response: ServerResponse, status: number, code: string): ServerResponse {
  response.writeHead(status, { 'x-error-code': code, 'content-type': 'application/json' })
  return response.end(JSON.stringify({ error: code }))
}

function sendJson(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): ServerResponse {
  return response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  })
}

function close(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
