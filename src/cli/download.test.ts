import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startHub, type TestHub } from '../hub/testing/server.ts'
import { hubSettings } from './hub-settings.ts'

const root = mkdtempSync(join(tmpdir(), 'loquent-download-'))
let hub: TestHub
before(async () => {
  const files = { 'config.json': '{}', 'model.safetensors': 'weights', 'README.md': 'words' }
  hub = await startHub({ 'org/name': { files, large: ['model.safetensors'], token: 'secret' } })
})
after(async () => {
  await hub.close()
  rmSync(root, { recursive: true })
})

const main = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url))

function run(args: readonly string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [main, ...args], { env: { PATH: process.env['PATH'], ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => {
    stdout += text
  })
  child.stderr.on('data', (text) => {
    stderr += text
  })
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

test('loquent download: the folder on stdout, progress on stderr', async () => {
  const env = { HF_ENDPOINT: hub.url, HF_HOME: root, HF_TOKEN: 'secret' }
  const first = await run(['download', 'org/name'], env)
  assert.equal(first.code, 0, first.stderr)
  const folder = first.stdout.trimEnd()
  assert.ok(folder.startsWith(join(root, 'hub', 'models--org--name', 'snapshots')), folder)
  assert.equal(readFileSync(join(folder, 'model.safetensors'), 'utf8'), 'weights')
  assert.match(first.stderr, /downloaded 9 B of 9 B, 2 of 2 files/)
  const chosen = await run(['download', 'org/name', '--include', 'README*', '*.json', '--revision', 'main'], env)
  assert.equal(readFileSync(join(chosen.stdout.trimEnd(), 'README.md'), 'utf8'), 'words')
  const asked = hub.asked.length
  const offline = await run(['download', 'org/name'], { HF_HOME: root, HF_HUB_OFFLINE: '1' })
  assert.equal(offline.stdout, first.stdout)
  assert.equal(hub.asked.length, asked)
})

test('loquent download: an error in one line, and exit code 1', async () => {
  const { code, stdout, stderr } = await run(['download', 'org/name'], {
    HF_ENDPOINT: hub.url,
    HF_HOME: join(root, 'empty'),
  })
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /^loquent: org\/name: no such model, or it is private and the token does not open it\n$/)
})

test('settings of the hub from the environment', () => {
  const of = (flags: Parameters<typeof hubSettings>[0], env: Record<string, string>) => {
    const { cacheDir, token, endpoint, offline, revision } = hubSettings(flags, env)
    return { cacheDir, token, endpoint, offline, revision }
  }
  const none = { token: undefined, endpoint: undefined, offline: false, revision: undefined }
  mkdirSync(join(root, 'home'))
  writeFileSync(join(root, 'home', 'token'), 'kept\n')
  const home = { HF_HOME: join(root, 'home') }
  assert.deepEqual(of({}, home), { ...none, cacheDir: join(root, 'home', 'hub'), token: 'kept' })
  assert.equal(of({}, { ...home, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }).token, undefined)
  assert.equal(of({}, { ...home, HF_TOKEN: 'given' }).token, 'given')
  assert.equal(of({}, { ...home, HF_HUB_CACHE: '/cache' }).cacheDir, '/cache')
  assert.equal(of({ huggingfaceHubCache: '/flag' }, { HF_HUB_CACHE: '/cache' }).cacheDir, '/flag')
  assert.equal(of({}, { XDG_CACHE_HOME: '/x' }).cacheDir, join('/x', 'huggingface', 'hub'))
  assert.equal(of({}, {}).cacheDir, join(homedir(), '.cache', 'huggingface', 'hub'))
  assert.deepEqual(of({ revision: 'v1' }, { ...home, HF_ENDPOINT: 'http://m', HF_HUB_OFFLINE: 'yes' }), {
    ...{ cacheDir: join(root, 'home', 'hub'), token: 'kept' },
    ...{ endpoint: 'http://m', offline: true, revision: 'v1' },
  })
})
