import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LoquentError } from '../base/errors.ts'
import { commitOf, startHub } from '../hub/testing/server.ts'
import { embeddedModel, load } from './index.ts'

test('a model given by its id is downloaded, and generates what its files do', { timeout: 60_000 }, async () => {
  const files = Object.fromEntries(
    readdirSync(embeddedModel).map((name) => [name, readFileSync(join(embeddedModel, name))]),
  )
  const model = { files, large: Object.keys(files).filter((name) => name.endsWith('.safetensors')) }
  const hub = await startHub({ 'org/tiny': model })
  const cacheDir = mkdtempSync(join(tmpdir(), 'loquent-load-'))
  try {
    const settings = { endpoint: hub.url, cacheDir, patience: { tries: 1 } }
    const remote = await load('org/tiny', { revision: 'main', hub: settings, backend: 'reference', maxTotalTokens: 64 })
    const local = await load(embeddedModel, { backend: 'reference', maxTotalTokens: 64 })
    assert.equal(remote.info.modelId, 'org/tiny')
    assert.equal(remote.info.modelSha, commitOf(model))
    assert.equal(local.info.modelSha, undefined)
    const [a, b] = [
      await remote.generate('Once', { maxNewTokens: 4 }),
      await local.generate('Once', { maxNewTokens: 4 }),
    ]
    assert.equal(a.text, b.text)
    await Promise.all([remote.close(), local.close()])
    const absent = (error: unknown) =>
      error instanceof LoquentError && error.code === 'hub.not_found' && /and there is no path org/.test(error.message)
    await assert.rejects(load('org/tiny', { revision: 'v2', hub: settings }), absent)
    const path = (error: unknown) => error instanceof LoquentError && error.code === 'model.not_found'
    await assert.rejects(load('./org/tiny', { hub: settings }), path)
  } finally {
    await hub.close()
    rmSync(cacheDir, { recursive: true })
  }
})
