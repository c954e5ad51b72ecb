import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTraceparent } from './traceparent.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'

test('a traceparent is read, whatever its version', () => {
  assert.deepEqual(readTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, flags: 1 })
  assert.deepEqual(readTraceparent(`cc-${traceId.toUpperCase()}-${spanId}-00`), { traceId, spanId, flags: 0 })
})

test('what is not one is ignored', () => {
  const wrong = [
    undefined,
    '',
    'x',
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.slice(1)}g-${spanId}-01`,
    [`00-${traceId}-${spanId}-01`],
  ]
  for (const header of wrong) assert.equal(readTraceparent(header), undefined)
})
