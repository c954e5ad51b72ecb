import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type ErrorCode, LoquentError } from '../base/errors.ts'
import { downloadModel } from './download.ts'
import type { HubOptions, HubProgress } from './options.ts'
import { commitOf, type HubModel, startHub, type TestHub } from './testing/server.ts'

const root = mkdtempSync(join(tmpdir(), 'loquent-hub-'))
const hubs: TestHub[] = []
after(async () => {
  await Promise.all(hubs.map((hub) => hub.close()))
  rmSync(root, { recursive: true })
})

const weights = randomBytes(300_000)
const model: HubModel = {
  files: {
    'README.md': '# no part of the model',
    'config.json': '{"model_type": "x"}',
    'tokenizer.json': '{}',
    'tokenizer_config.json': '{"chat_template": "é"}',
    'pytorch_model.bin': 'older',
    'pytorch_model.bin.index.json': '{}',
    'model.safetensors': weights,
    'onnx/model.onnx': 'another',
    'additional_chat_templates/tool.jinja': '{{ tools }}',
    'training_args.safetensors': 'left by training',
  },
  large: ['model.safetensors', 'pytorch_model.bin'],
}
const usual = [
  'additional_chat_templates/tool.jinja',
  'config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
]

let folders = 0
/** A hub of its own with an empty cache for each test. */
async function setUp(models: Readonly<Record<string, HubModel>> = { 'org/name': model }) {
  const hub = await startHub(models)
  hubs.push(hub)
  const cacheDir = join(root, String(folders++))
  const options: HubOptions = { endpoint: hub.url, cacheDir, patience: { firstWaitMs: 5, idleMs: 5000 } }
  const blobs = join(cacheDir, 'models--org--name', 'blobs')
  return { hub, cacheDir, options, blobs }
}

async function refuses(download: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(download, (error) => {
    assert.ok(error instanceof LoquentError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  })
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const filesOf = (path: string) =>
  readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((f) => lstatSync(join(path, f)).isSymbolicLink())
    .sort()

test('a model comes into the layout that others share', async () => {
  const { hub, cacheDir, options, blobs } = await setUp()
  const snapshot = await downloadModel('org/name', options)
  const commit = commitOf(model)
  assert.deepEqual(snapshot, { path: join(cacheDir, 'models--org--name', 'snapshots', commit), commit })
  assert.deepEqual(filesOf(snapshot.path), usual)
  for (const file of usual)
    assert.deepEqual(readFileSync(join(snapshot.path, file)), Buffer.from(model.files[file] as string))
  assert.equal(readlinkSync(join(snapshot.path, 'model.safetensors')), join('..', '..', 'blobs', sha256(weights)))
  assert.equal(readlinkSync(join(snapshot.path, usual[0]!)).split('/').slice(0, -1).join('/'), '../../../blobs')
  assert.equal(readFileSync(join(cacheDir, 'models--org--name', 'refs', 'main'), 'utf8'), commit)
  assert.equal(readdirSync(blobs).length, usual.length)
  assert.ok(
    hub.asked.some(({ path }) => path.includes('cursor=4')),
    'the list of files came in pages',
  )
})

test('what is in the cache is not fetched again, and is found offline', async () => {
  const { hub, options } = await setUp()
  const first = await downloadModel('org/name', options)
  hub.asked.length = 0
  assert.deepEqual(await downloadModel('org/name', options), first)
  assert.ok(
    hub.asked.every(({ path }) => path.startsWith('/api/')),
    'only lists were asked for',
  )
  hub.asked.length = 0
  assert.deepEqual(await downloadModel('org/name', { ...options, offline: true }), first)
  assert.deepEqual(await downloadModel('org/name', { ...options, offline: true, revision: first.commit }), first)
  assert.equal(hub.asked.length, 0)
})

test('offline, what is not whole is refused', async () => {
  const { options, cacheDir } = await setUp()
  const offline = { ...options, offline: true }
  await refuses(downloadModel('org/name', offline), 'hub.offline', /nothing of revision main/)
  const { path } = await downloadModel('org/name', options)
  rmSync(join(path, 'model.safetensors'))
  await refuses(downloadModel('org/name', offline), 'hub.offline', /no weights/)
  const index = JSON.stringify({ weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' } })
  writeFileSync(join(path, 'model-1.safetensors'), '')
  writeFileSync(join(path, 'model.safetensors.index.json'), index)
  await refuses(downloadModel('org/name', offline), 'hub.offline', /model-2\.safetensors is missing/)
  rmSync(cacheDir, { recursive: true })
})

test('a hub that does not answer: the copy that is here is used, and that is said', async () => {
  const { hub, options } = await setUp()
  const first = await downloadModel('org/name', options)
  const patience = { tries: 2, firstWaitMs: 5 }
  hub.trouble('GET', '/revision/', { status: 503 }, { status: 503 }, { status: 503 }, { status: 503 })
  const notices: string[] = []
  const again = await downloadModel('org/name', { ...options, patience, onNotice: (notice) => notices.push(notice) })
  assert.deepEqual(again, first)
  assert.match(notices.join(), /answered 503; using the copy in the cache/)
  rmSync(join(first.path, 'model.safetensors'))
  await refuses(downloadModel('org/name', { ...options, patience }), 'hub.unreachable', /answered 503/)
})

test('a connection that is cut, or falls silent, goes on where it ended', async () => {
  const { hub, options } = await setUp()
  hub.trouble('GET', 'storage:', { cutAfter: 100_000 }, { silentAfter: 50_000 }, { cutAfter: 0 }, { status: 500 })
  const { path } = await downloadModel('org/name', { ...options, patience: { firstWaitMs: 5, idleMs: 300 } })
  assert.deepEqual(readFileSync(join(path, 'model.safetensors')), weights)
  const ranges = hub.asked
    .filter(({ host, method }) => host === 'storage' && method === 'GET')
    .map(({ range }) => range)
  assert.deepEqual(ranges, [undefined, 'bytes=100000-', 'bytes=150000-', 'bytes=150000-', 'bytes=150000-'])
})

test('a download that was given up is resumed by the next', async () => {
  const { hub, options, blobs } = await setUp()
  const stop = new AbortController()
  hub.trouble('GET', 'storage:', { silentAfter: 120_000 })
  const onProgress = ({ file, fileReceived }: HubProgress) => {
    if (file === 'model.safetensors' && fileReceived === 120_000) stop.abort()
  }
  await refuses(
    downloadModel('org/name', { ...options, onProgress, signal: stop.signal }),
    'request.aborted',
    /cancelled/,
  )
  const part = join(blobs, `${sha256(weights)}.incomplete`)
  assert.deepEqual(readFileSync(part), weights.subarray(0, 120_000))
  await downloadModel('org/name', options)
  assert.equal(existsSync(part), false)
  assert.equal(hub.asked.filter(({ host }) => host === 'storage').at(-1)!.range, 'bytes=120000-')
})

test('a part whose bytes are wrong, or a server without ranges: from the beginning', async () => {
  for (const ranges of [true, false]) {
    const { hub, options, blobs } = await setUp()
    if (!ranges) hub.ignoreRanges()
    mkdirSync(blobs, { recursive: true })
    writeFileSync(join(blobs, `${sha256(weights)}.incomplete`), Buffer.alloc(1000))
    const { path } = await downloadModel('org/name', options)
    assert.deepEqual(readFileSync(join(path, 'model.safetensors')), weights)
  }
})

test('bytes that do not hash to what they should are refused, and not kept', async () => {
  for (const [file, algorithm] of [
    ['model.safetensors', 'sha256'],
    ['config.json', 'sha1'],
  ] as const) {
    const { hub, options, blobs } = await setUp()
    const wrong = Buffer.from(model.files[file] as string)
    wrong[5]! ^= 1
    hub.corrupt(file, wrong)
    await refuses(downloadModel('org/name', options), 'hub.damaged', new RegExp(`${file}: ${algorithm} .* should be`))
    const names = readdirSync(blobs)
    assert.equal(names.includes(sha256(weights)) && file === 'model.safetensors', false)
    for (const name of names.filter((n) => n.endsWith('.incomplete')))
      assert.notDeepEqual(readFileSync(join(blobs, name)), wrong)
    assert.equal(existsSync(join(options.cacheDir!, 'models--org--name', 'refs')), false)
  }
})

test('a file longer than it should be is cut off', async () => {
  const { hub, options } = await setUp()
  hub.corrupt('model.safetensors', Buffer.concat([weights, weights]))
  await refuses(downloadModel('org/name', options), 'hub.damaged', /more than the 300000 bytes/)
})

test('the token goes to the hub and nowhere else', async () => {
  const { hub, options } = await setUp({ 'org/name': { ...model, token: 'secret' } })
  await downloadModel('org/name', { ...options, token: 'secret' })
  for (const { host, authorization } of hub.asked)
    assert.equal(authorization, host === 'hub' ? 'Bearer secret' : undefined)
  assert.ok(hub.asked.some(({ host }) => host === 'storage'))
})

test('what the hub refuses has its own error', async () => {
  const { options } = await setUp({
    'org/name': model,
    'org/private': { ...model, token: 'secret' },
    'org/gated': { ...model, token: 'secret', gated: true },
    'org/code': { files: { 'README.md': '' } },
    'org/quants': { files: { 'a-q4.gguf': 'a', 'a-q8.gguf': 'b' } },
  })
  await refuses(downloadModel('org/nothing', options), 'hub.not_found', /no such model, or it is private/)
  await refuses(
    downloadModel('org/private', { ...options, token: 'other' }),
    'hub.not_found',
    /the token does not open it/,
  )
  await refuses(downloadModel('org/gated', options), 'hub.denied', /accept conditions .* no token was given/)
  await refuses(
    downloadModel('org/gated', { ...options, token: 'other' }),
    'hub.denied',
    /the token given does not open it/,
  )
  await refuses(downloadModel('org/name', { ...options, revision: 'v9' }), 'hub.not_found', /no such revision/)
  await refuses(downloadModel('org/code', options), 'hub.not_found', /no weights in a format that is read/)
  await refuses(downloadModel('org/quants', options), 'hub.not_found', /2 \.gguf files; include one/)
  await refuses(
    downloadModel('org/quants', { ...options, include: ['*.bin'] }),
    'hub.not_found',
    /no file matches \*\.bin/,
  )
  await refuses(downloadModel('../name', options), 'option.invalid', /no id of a model/)
  await refuses(
    downloadModel('org/name', { ...options, revision: '../../x' }),
    'option.invalid',
    /no name of a revision/,
  )
  await refuses(downloadModel('org/name', { ...options, endpoint: 'ftp://x' }), 'option.invalid', /no http address/)
  const nobody = { ...options, endpoint: 'http://127.0.0.1:1', patience: { tries: 2, firstWaitMs: 1 } }
  await refuses(downloadModel('org/name', nobody), 'hub.unreachable', /cannot reach http:\/\/127\.0\.0\.1:1/)
})

test('429: Retry-After is followed where it is bearable, and told where it is not', async () => {
  const { hub, options } = await setUp()
  hub.trouble('HEAD', 'config.json', { status: 429, headers: { 'retry-after': '1' } })
  const from = Date.now()
  await downloadModel('org/name', options)
  assert.ok(Date.now() - from >= 1000)
  hub.trouble('GET', '/revision/main', { status: 429, headers: { 'retry-after': '3600' } })
  const other = { ...options, cacheDir: join(root, 'other') }
  await refuses(downloadModel('org/name', other), 'hub.rate_limited', /try again in 3600 s/)
})

test('a full disk has its own error', { skip: !existsSync('/dev/full') && 'the system has no /dev/full' }, async () => {
  const { options, blobs } = await setUp()
  mkdirSync(blobs, { recursive: true })
  symlinkSync('/dev/full', join(blobs, `${sha256(weights)}.incomplete`))
  await refuses(downloadModel('org/name', options), 'hub.disk', /the disk is full/)
})

test('what cannot fit is refused before it is fetched', async () => {
  const { hub, options } = await setUp()
  const size = {
    'x-linked-size': String(2 ** 52),
    'x-linked-etag': `"${'a'.repeat(64)}"`,
    location: 'http://127.0.0.1:1/',
  }
  hub.trouble('HEAD', 'model.safetensors', { status: 302, headers: size })
  await refuses(downloadModel('org/name', options), 'hub.disk', /bytes are needed and/)
  assert.ok(hub.asked.every(({ host }) => host === 'hub'))
})

test('names that would leave the cache are refused', async () => {
  const { options } = await setUp({ 'org/name': { files: { '../../evil.json': '{}', 'model.safetensors': 'x' } } })
  await refuses(downloadModel('org/name', options), 'hub.failed', /lists a file "\.\.\/\.\.\/evil\.json"/)
  const { hub, options: others } = await setUp()
  hub.trouble('HEAD', 'config.json', { status: 200, headers: { etag: '"../../evil"', 'content-length': '5' } })
  await refuses(downloadModel('org/name', others), 'hub.failed', /names no ETag/)
})

test('progress counts every byte once, and four files come at a time', async () => {
  const files = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`f${i}.json`, randomBytes(1000 + i)]))
  const { options } = await setUp({
    'org/name': { files: { ...files, 'model.safetensors': weights }, large: ['model.safetensors'] },
  })
  const seen: HubProgress[] = []
  await downloadModel('org/name', { ...options, onProgress: (progress) => seen.push(progress) })
  const total = weights.length + Object.values(files).reduce((sum, { length }) => sum + length, 0)
  assert.deepEqual(
    [seen.at(-1)!.received, seen.at(-1)!.bytes, seen.at(-1)!.filesDone, seen.at(-1)!.files],
    [total, total, 10, 10],
  )
  for (const { received, bytes } of seen) assert.ok(received <= bytes && bytes === total)
})

test('redirects: of a model that was renamed, and those that lead nowhere', async () => {
  const { hub, options } = await setUp()
  const at = (location: string) => ({ status: 307, headers: { location } })
  hub.trouble('GET', '/revision/main', at('/api/models/org/name/revision/main?moved'))
  hub.trouble('HEAD', 'config.json', at(`/org/name/resolve/${commitOf(model)}/config.json?moved`))
  const { path } = await downloadModel('org/name', options)
  assert.equal(readFileSync(join(path, 'config.json'), 'utf8'), model.files['config.json'])
  assert.equal(hub.asked.filter((asked) => asked.path.endsWith('?moved')).length, 2)
  hub.trouble('GET', '/revision/main', at('ftp://127.0.0.1/x'))
  await refuses(downloadModel('org/name', options), 'hub.failed', /it answered 307/)
  const lost = { ...options, cacheDir: join(root, 'lost') }
  hub.trouble('GET', 'storage:', at('ftp://127.0.0.1/x'))
  await refuses(downloadModel('org/name', lost), 'hub.failed', /redirects to ftp:/)
  hub.trouble('GET', 'storage:', at('http://[/'))
  await refuses(downloadModel('org/name', lost), 'hub.failed', /redirects nowhere/)
  hub.trouble('GET', '/revision/main', ...Array.from({ length: 9 }, () => at('/api/models/org/name/revision/main')))
  await refuses(downloadModel('org/name', options), 'hub.failed', /more than 8 redirects/)
})

test('two downloads of one model at a time', async () => {
  const { options } = await setUp()
  const [a, b] = await Promise.all([downloadModel('org/name', options), downloadModel('org/name', options)])
  assert.deepEqual(a, b)
  assert.deepEqual(readFileSync(join(a.path, 'model.safetensors')), weights)
})
