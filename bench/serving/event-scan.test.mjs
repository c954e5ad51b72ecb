import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventScan, tgiMore } from './event-scan.mjs'

const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
const token = (index) =>
  chunk(`data: {"index":${index},"token":{"text":"}\\n\\n data: {é"},"generated_text":null,"details":null}\n\n`)
const last = { index: 3, token: {}, generated_text: 'a\n\nb', details: { input_length: 4 } }
const whole = [token(1), chunk(':\n\n'), token(2), chunk(`data: ${JSON.stringify(last)}\n\n`), '0\r\n\r\n'].join('')

test('events are counted and the last one read, wherever the reads cut them', () => {
  const bytes = Buffer.from(whole)
  for (let size = 1; size <= bytes.length; size++) {
    const scan = new EventScan(tgiMore)
    let events = 0
    for (let at = 0; at < bytes.length; at += size) events += scan.take(bytes.subarray(at, at + size))
    assert.equal(events, 3, `reads of ${size}`)
    assert.deepEqual(JSON.parse(scan.last), last)
  }
})
