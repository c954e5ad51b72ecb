import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StopMatcher } from './stop.ts'

function pushAll(stops: readonly string[], parts: readonly string[]) {
  const matcher = new StopMatcher(stops)
  let match: ReturnType<StopMatcher['push']>
  for (const part of parts) match = matcher.push(part)
  return match
}

/** Looks at every prefix of the text. */
function plainly(stops: readonly string[], text: string) {
  for (let end = 1; end <= text.length; end++) {
    const stop = stops.find((each) => text.slice(0, end).endsWith(each))
    if (stop !== undefined) return { stop, end }
  }
  return undefined
}

const abText = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 12 })
const stopStrings = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n'), minLength: 1, maxLength: 5 }), {
  maxLength: 4,
})

test('finds what a plain search finds, however the text is cut', () => {
  fc.assert(
    fc.property(stopStrings, fc.array(abText), (stops, parts) => {
      assert.deepEqual(pushAll(stops, parts), plainly(stops, parts.join('')))
    }),
    { numRuns: 2000 },
  )
})

test('ends within a token, across tokens, and is told again later', () => {
  assert.deepEqual(pushAll(['foo'], ['a foo.']), { stop: 'foo', end: 5 })
  assert.deepEqual(pushAll(['</s>'], ['x<', '/', 's', '>y', 'more']), { stop: '</s>', end: 5 })
  assert.deepEqual(pushAll(['🙂!'], ['a🙂', '!']), { stop: '🙂!', end: 4 })
  assert.equal(pushAll(['foo'], ['fo', ' o']), undefined)
  assert.equal(pushAll([], ['anything']), undefined)
})

test('the earliest end wins, then the order given', () => {
  assert.deepEqual(pushAll(['abcd', 'bc'], ['abcd']), { stop: 'bc', end: 3 })
  assert.deepEqual(pushAll(['bc', 'abc'], ['abc']), { stop: 'bc', end: 3 })
  assert.deepEqual(pushAll(['abc', 'bc'], ['abc']), { stop: 'abc', end: 3 })
})

test('a self-repeating string over a long self-repeating text takes linear time', () => {
  const matcher = new StopMatcher([`${'a'.repeat(5000)}b`])
  const start = performance.now()
  for (let i = 0; i < 200; i++) assert.equal(matcher.push('a'.repeat(5000)), undefined)
  // Quadratic work would be 5e9 steps.
  assert.ok(performance.now() - start < 2000)
  assert.deepEqual(matcher.push('b'), { stop: `${'a'.repeat(5000)}b`, end: 1_000_001 })
})

test('an empty stop string is refused', () => {
  assert.throws(() => new StopMatcher(['a', '']), { code: 'request.invalid' })
})
