import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Limits } from './domain.ts'
import { generateHeader, instructionWords, limitNames, tableHash } from './header.ts'
import { opShape, ops } from './table.ts'

const header = generateHeader()

test('the committed header is the one that the table makes', () => {
  const committed = readFileSync(new URL('../../native/gen/ops.h', import.meta.url), 'utf8')
  assert.equal(committed, header, 'run node scripts/generate.mjs')
  assert.match(header, new RegExp(`constexpr int32_t tableHash = ${tableHash()};`))
})

test('every op has a struct of its operands and attributes, in table order', () => {
  for (const [name, shape] of Object.entries(ops)) {
    const struct = header.match(new RegExp(`struct ${name[0]!.toUpperCase()}${name.slice(1)} {\n([^}]*)}`))![1]!
    const members = [...struct.matchAll(/^ {2}(\w+) (\w+);/gm)].map(([, , member]) => member)
    assert.deepEqual(members, [...Object.keys(shape.operands), ...Object.keys(shape.attributes)])
    const operands = [...struct.matchAll(/^ {2}Operand /gm)].length
    assert.equal(instructionWords(opShape(name as keyof typeof ops)), 8 * operands + (members.length - operands))
  }
})

test('an attribute with names becomes an enum with their indices', () => {
  assert.match(header, /enum class Activation : int32_t \{ none = 0, relu = 1, gelu = 2,.* silu = 5 \}/)
  assert.match(header, /enum class Style : int32_t \{ half = 0, interleaved = 1 \}/)
})

test('every limit has a word', () => {
  // The record makes the compiler name a limit that this list lacks.
  const all: Record<keyof Limits, true> = {
    tokens: true,
    sequences: true,
    samples: true,
    context: true,
    blocks: true,
    blockSize: true,
    vocabulary: true,
    topTokens: true,
    masks: true,
  }
  assert.deepEqual([...limitNames].sort(), Object.keys(all).sort())
})
