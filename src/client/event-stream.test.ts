import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { eventFrame, KEEP_ALIVE_FRAME } from '../wire/sse.ts'
import { maxEventLength, readEvents } from './event-stream.ts'
import { objectJson, parseJson } from './json.ts'

async function* pieces(text: string | Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length > 0 ? sizes[i % sizes.length]! : bytes.length
    yield bytes.subarray(at, at + size)
    at += size
  }
}

const read = (text: string, sizes: readonly number[] = []) => all(readEvents(pieces(text, sizes)))

/** Node.js 20 has no Array.fromAsync. */
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

test('events, comments, fields, line ends', async () => {
  assert.deepEqual(await read('data: a\n\ndata:b\n\ndata:  c\n\n'), ['a', 'b', ' c'])
  assert.deepEqual(await read(':\n\n: ping\n\ndata: a\n:\n\n'), ['a'])
  assert.deepEqual(await read('event: x\nid: 1\nretry: 5\ndata: a\n\nevent: y\n\n'), ['a'])
  assert.deepEqual(await read('data: a\r\n\r\ndata: b\r\rdata: c\n\r\n'), ['a', 'b', 'c'])
  assert.deepEqual(await read('data: a\ndata\ndata: b\n\n'), ['a\n\nb'])
  assert.deepEqual(await read('\ufeffdata: a\n\ndatax: b\n\n'), ['a'])
  assert.deepEqual(await read('data: a\n\ndata: not whole'), ['a'])
  assert.deepEqual(await read('data: a\r\r'), ['a'])
  assert.deepEqual(await read(''), [])
})

test('what the server writes is what is read, however it is cut', async () => {
  const event = fc.record({ value: fc.string({ unit: 'binary', maxLength: 20 }), pause: fc.boolean() })
  const end = fc.constantFrom('\n', '\r\n', '\r')
  const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 8 }), end, sizes, async (events, lineEnd, cuts) => {
      const json = events.map(({ value }) => JSON.stringify(value))
      const text = events.map(({ pause }, i) => (pause ? KEEP_ALIVE_FRAME : '') + eventFrame(json[i]!)).join('')
      assert.deepEqual(await read(text.replaceAll('\n', lineEnd), cuts), json)
    }),
  )
})

test('an event that does not end is refused', async () => {
  const long = new Uint8Array(2 ** 20).fill(0x78)
  async function* endless(line: boolean) {
    yield new TextEncoder().encode('data: ')
    for (let i = 0; ; i++) {
      yield long
      if (line) yield new TextEncoder().encode('\ndata: ')
      assert.ok(i <= maxEventLength / long.length, 'it reads on')
    }
  }
  await assert.rejects(all(readEvents(endless(false))), /a line that does not end/)
  await assert.rejects(all(readEvents(endless(true))), /an event that does not end/)
})

test('seeds keep all their digits', () => {
  assert.deepEqual(parseJson('{"seed":18446744073709551615,"details":{"seed": 7,"n":7},"x":null}'), {
    seed: 18446744073709551615n,
    details: { seed: 7n, n: 7 },
    x: null,
  })
  assert.deepEqual(parseJson(JSON.stringify({ text: '"seed":18446744073709551615', seed: null })), {
    text: '"seed":18446744073709551615',
    seed: null,
  })
  assert.equal(objectJson({ a: 1, seed: 2n ** 64n - 1n, b: undefined }), '{"seed":18446744073709551615,"a":1}')
  assert.equal(objectJson({ seed: 5 }), '{"seed":5}')
  assert.equal(objectJson({ a: 'x' }), '{"a":"x"}')
  fc.assert(
    fc.property(fc.jsonValue(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value, seed) => {
      const text = `{"seed":${seed},"value":${JSON.stringify({ text: JSON.stringify(value) })}}`
      assert.deepEqual(parseJson(text), { seed, value: { text: JSON.stringify(value) } })
    }),
  )
})
