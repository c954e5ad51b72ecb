import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notApplying } from './serve.ts'

test('flags of a scheduler with pauses are taken and said not to apply', () => {
  assert.deepEqual(notApplying({}), [])
  const [ratio, tokens] = notApplying({ waitingServedRatio: 0.3, maxWaitingTokens: 0 })
  assert.match(ratio!, /^--waiting-served-ratio does not apply: /)
  assert.match(tokens!, /^--max-waiting-tokens does not apply: /)
})
