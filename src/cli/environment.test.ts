import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dropMachineName, readAliases, runtimeReport } from './environment.ts'

test('HOSTNAME counts when it is an address', () => {
  const machine = { HOSTNAME: 'pod-7', PORT: '80' }
  dropMachineName(machine)
  assert.deepEqual(machine, { PORT: '80' })
  const address = { HOSTNAME: '0.0.0.0' }
  dropMachineName(address)
  assert.deepEqual(address, { HOSTNAME: '0.0.0.0' })
})

test("clouds' variables stand for the launcher's, which come first", () => {
  const env: Record<string, string> = { HF_MODEL_ID: 'a/b', AIP_HTTP_PORT: '8080', PORT: '1', SM_NUM_GPUS: '2' }
  readAliases(env)
  assert.deepEqual([env['MODEL_ID'], env['PORT'], env['NUM_SHARD'], env['REVISION']], ['a/b', '1', '2', undefined])
})

test('the report names what a bug report needs', () => {
  const report = runtimeReport({ GIT_SHA: 'abc' })
  assert.match(report, /^Runtime environment:\nLoquent: \d+\.\d+\.\d+/)
  assert.match(report, /\nCommit sha: abc\nDocker label: N\/A\n$/)
  assert.ok(report.includes(process.version))
})
