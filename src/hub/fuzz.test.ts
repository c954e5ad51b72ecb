import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { LoquentError } from '../base/errors.ts'
import { downloadModel } from './download.ts'

const commit = 'c'.repeat(40)

/** An entry of a list: right, or with anything in any place. */
const text = fc.oneof(
  fc.string(),
  fc.constantFrom('a.json', '../x', '/etc/passwd', 'a/../../b', 'C:\\x', 'model.safetensors', '.', 'a\0b'),
)
const anything = fc.jsonValue({ maxDepth: 1 })
const entry = fc.record({
  type: fc.oneof({ weight: 5, arbitrary: fc.constant('file') }, anything),
  path: fc.oneof({ weight: 5, arbitrary: text }, anything),
  size: fc.oneof(fc.nat(100), anything),
  oid: fc.oneof(text, anything),
  lfs: fc.oneof(fc.record({ oid: fc.oneof(text, anything), size: anything }), anything),
})
const good = fc.record({ type: fc.constant('file'), path: fc.constantFrom('a.json', 'b/c.txt', 'd') })
const list = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.array(fc.oneof({ weight: 9, arbitrary: good }, { weight: 4, arbitrary: entry }, anything), {
      maxLength: 3,
    }),
  },
  anything,
)
const header = fc.constantFrom(
  '',
  '"a"',
  'a',
  '../../a',
  '"a/b"',
  `"${'a'.repeat(64)}"`,
  '5',
  '-1',
  '1e9',
  'NaN',
  commit,
  'bytes 0-1/2',
)
const answers = fc.record({
  commit: fc.oneof({ weight: 9, arbitrary: fc.constant({ sha: commit }) }, fc.record({ sha: text }), anything),
  list,
  status: fc.constantFrom(200, 200, 200, 200, 206, 302, 307, 404, 416, 418),
  headers: fc.dictionary(
    fc.constantFrom('etag', 'x-linked-etag', 'x-linked-size', 'x-repo-commit', 'location', 'content-range', 'link'),
    header,
    { maxKeys: 2 },
  ),
  body: fc.string({ maxLength: 10 }),
})

test('a hub that answers anything gets an error of ours, and nothing outside the cache is touched', async () => {
  let now: typeof answers extends fc.Arbitrary<infer T> ? T : never
  const server = createServer((request, response) => {
    const url = request.url!
    if (url.includes('/revision/')) return response.end(JSON.stringify(now.commit))
    if (url.includes('/tree/')) return response.end(JSON.stringify(now.list))
    const length = String(Buffer.byteLength(now.body))
    const headers = { etag: '"e"', 'content-length': length, ...now.headers }
    return response.writeHead(now.status, headers).end(request.method === 'HEAD' ? undefined : now.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const root = mkdtempSync(join(tmpdir(), 'loquent-hub-fuzz-'))
  const options = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cacheDir: join(root, 'cache'),
  }
  const patience = { tries: 1, idleMs: 1000 }
  const seen = { whole: 0, refused: 0 }
  try {
    await fc.assert(
      fc.asyncProperty(answers, async (given) => {
        now = given
        rmSync(options.cacheDir, { recursive: true, force: true })
        try {
          await downloadModel('org/name', { ...options, patience, include: ['*'] })
          seen.whole++
        } catch (error) {
          if (!(error instanceof LoquentError)) throw error
          seen.refused++
        }
        assert.ok(readdirSync(root).every((name) => name === 'cache'))
        const model = join(options.cacheDir, 'models--org--name')
        if (existsSync(options.cacheDir)) assert.deepEqual(readdirSync(options.cacheDir), ['models--org--name'])
        if (existsSync(model)) for (const name of readdirSync(model)) assert.match(name, /^(blobs|refs|snapshots)$/)
      }),
      { numRuns: 200, seed: 20240607 },
    )
    assert.ok(seen.refused > 50 && seen.whole > 3, JSON.stringify(seen))
  } finally {
    server.closeAllConnections()
    server.close()
    rmSync(root, { recursive: true })
  }
})
