import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { dequantize } from './dequantize.ts'
import { type FormatName, formats } from './format.ts'
import { halfToNumber } from './half.ts'

interface Golden {
  readonly bytes: string
  readonly floats: string
}

const goldens: Record<string, Golden> = JSON.parse(
  readFileSync(new URL('../../test/goldens/quants/blocks.json', import.meta.url), 'utf8'),
)

/** A copy at an odd address, as tensors of a mapped file may lie. */
function unaligned(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length + 1).subarray(1)
  copy.set(bytes)
  return copy
}

test('every format equals the reference to the bit', async (t) => {
  for (const format of Object.keys(formats) as FormatName[]) {
    await t.test(format, () => {
      const golden = goldens[format]!
      const wanted = new Float32Array(Uint8Array.from(Buffer.from(golden.floats, 'base64')).buffer)
      const got = new Float32Array(wanted.length)
      dequantize(format, unaligned(Buffer.from(golden.bytes, 'base64')), got)
      assert.ok(wanted.length >= 16)
      for (let i = 0; i < got.length; i++) {
        assert.ok(Object.is(got[i], wanted[i]), `element ${i}: ${got[i]} where the reference has ${wanted[i]}`)
      }
    })
  }
})

test('all halves', () => {
  for (let half = 0; half < 0x7c00; half++) {
    const exponent = half >> 10
    const fraction = half & 1023
    const wanted = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25)
    assert.equal(halfToNumber(half), wanted)
    assert.ok(Object.is(halfToNumber(half | 0x8000), -wanted))
  }
  assert.equal(halfToNumber(0x7c00), Infinity)
  assert.equal(halfToNumber(0xfc00), -Infinity)
  assert.ok(Number.isNaN(halfToNumber(0x7c01)) && Number.isNaN(halfToNumber(0xffff)))
})

test('lengths that do not match are refused', () => {
  assert.throws(() => dequantize('q4_k', new Uint8Array(143), new Float32Array(256)), RangeError)
  assert.throws(() => dequantize('q4_k', new Uint8Array(144), new Float32Array(255)), RangeError)
  assert.throws(() => dequantize('f32', new Uint8Array(8), new Float32Array(1)), RangeError)
})
