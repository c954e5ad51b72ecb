import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { incompleteTail, textOf } from './utf8.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)

test('a character cut anywhere leaves its beginning as tail', () => {
  for (const character of ['é', '€', '😀', '한', '\u{10ffff}']) {
    const whole = Buffer.from(`a${character}`)
    for (let end = 2; end < whole.length; end++) assert.equal(incompleteTail(whole.subarray(0, end)), end - 1)
    assert.equal(incompleteTail(whole), 0)
  }
})

test('bytes that can never become a character are no tail', () => {
  for (const broken of [
    [0xff],
    [0xc0],
    [0xc1],
    [0xf5],
    [0x80],
    [0xe0, 0x9f],
    [0xed, 0xa0],
    [0xf0, 0x8f],
    [0xf4, 0x90],
  ]) {
    assert.equal(incompleteTail(bytes(...broken)), 0, broken.map((b) => b.toString(16)).join(' '))
  }
  assert.equal(incompleteTail(bytes()), 0)
})

test('cutting off tails never changes the text of a stream', () => {
  const interesting = fc.constantFrom(
    0x41,
    0x80,
    0xa9,
    0xbf,
    0xc3,
    0xe0,
    0xe2,
    0x82,
    0xac,
    0xed,
    0xf0,
    0x9f,
    0x98,
    0xf4,
    0xff,
  )
  fc.assert(
    fc.property(fc.array(fc.array(interesting, { maxLength: 5 })), (parts) => {
      let tail: Uint8Array = bytes()
      let text = ''
      for (const part of parts) {
        const all = Buffer.concat([tail, Buffer.from(part)])
        const cut = all.length - incompleteTail(all)
        text += textOf(all.subarray(0, cut))
        tail = all.subarray(cut)
      }
      assert.equal(text + textOf(tail), new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(parts.flat())))
    }),
  )
})
