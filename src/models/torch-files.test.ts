import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openBackend } from '../backends/select.ts'
import { GoldenModel, readGolden } from './golden.ts'

const goldens = fileURLToPath(new URL('../../test/goldens', import.meta.url))

/** The second shard is of the old format, where weights lie at odd places. */
test('a checkpoint of PyTorch files computes what its safetensors file does, to the bit', async () => {
  const { ids } = readGolden(readFileSync(join(goldens, 'llama/gqa/golden.safetensors')))[0]!
  for (const backend of ['reference', 'auto'] as const) {
    const logits = await Promise.all(
      ['llama/gqa', 'torch/sharded'].map(async (folder) => {
        const model = await GoldenModel.load(openBackend({ backend }).backend, join(goldens, folder), 'config.json')
        const rows = await model.step([{ sequence: 0, ids, start: 0, ropeLength: ids.length }])
        model.close()
        return rows
      }),
    )
    assert.deepEqual(logits[1], logits[0])
  }
})
