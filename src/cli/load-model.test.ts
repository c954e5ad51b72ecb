import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { loadOptions, type ModelFlags } from './load-model.ts'
import { addOptions, hubOptions, modelOptions, valuesOf } from './options.ts'
import { serveRows } from './serve-command.ts'

test('the library is told of what belongs to the model, under its own names, and of nothing else', () => {
  const argv = ['--api-key', 'secret', '--watermark-gamma', '0.25', '--rope-factor', '2', '--kv-cache-dtype', 'int8']
  const flags = addOptions(new Command(), serveRows).parse(argv, { from: 'user' }).opts()
  const model = valuesOf(flags, [...modelOptions, ...hubOptions]) as unknown as ModelFlags
  const { hub: _, onProgress: __, ...options } = loadOptions(model)
  assert.deepEqual(options, {
    backend: 'auto',
    dtype: 'auto',
    kvDtype: 'int8',
    verify: false,
    ropeScaling: { type: 'linear', factor: 2 },
    watermark: { gamma: 0.25 },
  })
})
