import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { inertNotices, inertOptions, variableNotices } from './inert-options.ts'
import { addOptions, nameOf } from './options.ts'
import { serveRows } from './serve-command.ts'

/** Every flag of TGI's launcher and router, but for --help and --version. */
const flagsOfTgi = `model-id revision validation-workers sharded num-shard quantize speculate dtype kv-cache-dtype
  trust-remote-code max-concurrent-requests max-best-of max-stop-sequences max-top-n-tokens max-input-tokens
  max-input-length max-total-tokens waiting-served-ratio max-batch-prefill-tokens max-batch-total-tokens
  max-waiting-tokens max-batch-size cuda-graphs hostname port prometheus-port shard-uds-path master-addr master-port
  huggingface-hub-cache weights-cache-override disable-custom-kernels cuda-memory-fraction rope-scaling rope-factor
  json-output otlp-endpoint otlp-service-name cors-allow-origin api-key watermark-gamma watermark-delta ngrok
  ngrok-authtoken ngrok-edge tokenizer-config-path disable-grammar-support env max-client-batch-size lora-adapters
  usage-stats payload-limit enable-prefill-logprobs graceful-termination-timeout max-image-fetch-size`.split(/\s+/)

const parse = (argv: readonly string[]) => {
  const command = addOptions(new Command(), serveRows).exitOverride()
  return command.parse(argv, { from: 'user' }).opts()
}

test('every flag of the reference is known, with a variable of its name', () => {
  const known = new Map(serveRows.map((row) => [/--([\w-]+)/.exec(row.flags)![1]!, row]))
  for (const flag of flagsOfTgi) {
    assert.ok(known.has(flag), `--${flag} is not known`)
    if (flag !== 'env') assert.equal(known.get(flag)!.env, flag.toUpperCase().replaceAll('-', '_'))
  }
  assert.equal(new Set(serveRows.map(nameOf)).size, serveRows.length)
})

test('a flag without effect says so in one line, one that asks for what is does not', () => {
  assert.deepEqual(inertNotices(parse([])), [])
  assert.deepEqual(inertNotices(parse(['--num-shard', '1', '--speculate', '0', '--usage-stats', 'off'])), [])
  const lines = inertNotices(parse(['--trust-remote-code', '--num-shard', '2', '--cuda-graphs', '1,2']))
  assert.deepEqual(
    lines.map((line) => line.split(' does not apply: ')[0]),
    ['--num-shard', '--trust-remote-code', '--cuda-graphs'],
  )
  for (const { inert } of inertOptions) assert.match(inert!, /^[^\n]{10,120}$/)
})

test('booleans of the reference are bare flags, and true or false', () => {
  assert.equal(parse(['--trust-remote-code', '--port', '1']).trustRemoteCode, true)
  assert.equal(parse(['--sharded', 'false']).sharded, false)
  assert.equal(parse(['--log-level', 'info,text_generation_router=debug']).logLevel, 'info')
  assert.equal(parse(['--log-level', 'WARN']).logLevel, 'warn')
  assert.equal(parse(['--kv-cache-dtype', 'fp8_e5m2']).kvCacheDtype, 'int8')
})

test('variables that are no flags are answered too', () => {
  assert.deepEqual(variableNotices({ PATH: '/bin', ATTENTION: '' }), [])
  assert.deepEqual(variableNotices({ ATTENTION: 'paged' }), ['ATTENTION does not apply: there is one attention'])
})
