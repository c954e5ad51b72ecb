import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BlockPool } from './block-pool.ts'

const taken = (pool: BlockPool, n: number) => Array.from({ length: n }, () => pool.take())

test('gives every block once, then none', () => {
  const pool = new BlockPool(4)
  assert.deepEqual(taken(pool, 5), [0, 1, 2, 3, -1])
  pool.check(4)
})

test('a shared block stays held until its last holder lets go', () => {
  const pool = new BlockPool(2)
  const [a, b] = taken(pool, 2)
  pool.share(a)
  pool.release([a, b])
  assert.equal(pool.held, 1)
  pool.check(1)
  pool.release([a])
  assert.equal(pool.free, 2)
  pool.check(0)
})

test('a sealed block is cached once released, reused after the plain ones, the tail of its table first', () => {
  const pool = new BlockPool(5)
  const table = taken(pool, 4)
  for (const block of table.slice(0, 3)) pool.seal(block, `${block}`)
  pool.release(table)
  assert.deepEqual([pool.free, pool.cached, pool.held], [2, 3, 0])
  assert.deepEqual(taken(pool, 5), [table[3], 4, table[2], table[1], table[0]])
  assert.equal(pool.cached, 0)
  pool.check(5)
})

test('a block taken out of the cache has forgotten its content', () => {
  const pool = new BlockPool(1)
  const block = pool.take()
  pool.seal(block, '7')
  pool.release([block])
  assert.equal(pool.take(), block)
  pool.release([block])
  assert.deepEqual([pool.free, pool.cached], [1, 0])
})

test('a block is found by its content while it is held and while it lies in the cache, and never after', () => {
  const pool = new BlockPool(2)
  const [a, b] = taken(pool, 2)
  pool.seal(a, 'x')
  assert.deepEqual([pool.find('x'), pool.find('y')], [a, -1])
  pool.release([a, b])
  assert.equal(pool.find('x'), a)
  taken(pool, 2)
  assert.equal(pool.find('x'), -1)
  pool.check(2)
})

test('of two blocks with the same content the first is known, and the second when the first is forgotten', () => {
  const pool = new BlockPool(2)
  const [a, b] = taken(pool, 2)
  for (const block of [a, b]) pool.seal(block, 'x')
  assert.equal(pool.find('x'), a)
  pool.forget(b)
  assert.equal(pool.find('x'), a)
  pool.forget(a)
  pool.seal(b, 'x')
  assert.equal(pool.find('x'), b)
  pool.release([a, b])
  assert.deepEqual([pool.free, pool.cached], [1, 1])
})

test('sharing a cached block takes it off the list and keeps its content', () => {
  const pool = new BlockPool(2)
  const block = pool.take()
  pool.seal(block, '7')
  pool.release([block])
  pool.share(block)
  assert.deepEqual([pool.free, pool.cached, pool.held], [1, 0, 1])
  pool.release([block])
  assert.deepEqual([pool.free, pool.cached, pool.held], [1, 1, 0])
  pool.check(0)
})

test('releasing what nobody holds is caught', () => {
  const pool = new BlockPool(1)
  assert.throws(() => pool.release([0]), /released but not held/)
  assert.throws(() => pool.seal(0, '1'), /sealed but not held/)
})

test('check notices a lost reference', () => {
  const pool = new BlockPool(2)
  pool.take()
  assert.throws(() => pool.check(0), /references/)
})

test('blocks are conserved under any order of taking, sealing, sharing and releasing', () => {
  const action = fc.record({ kind: fc.constantFrom('take', 'seal', 'share', 'release'), pick: fc.nat(1000) })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(action, { maxLength: 60 }), (total, actions) => {
      const pool = new BlockPool(total)
      const holds: number[] = []
      for (const { kind, pick } of actions) {
        const at = pick % (holds.length || 1)
        if (kind === 'take') {
          const block = pool.take()
          assert.equal(block < 0, new Set(holds).size === total)
          if (block >= 0) {
            assert(!holds.includes(block), 'a held block was given out')
            holds.push(block)
          }
        } else if (holds.length > 0) {
          if (kind === 'seal') pool.seal(holds[at], `${pick % 5}`)
          if (kind === 'share') {
            pool.share(holds[at])
            holds.push(holds[at])
          }
          if (kind === 'release') pool.release(holds.splice(at, 1))
        }
        pool.check(holds.length)
        assert.equal(pool.free + pool.cached + pool.held, total)
        assert.equal(pool.held, new Set(holds).size)
      }
    }),
    { numRuns: 300, seed: 1 },
  )
})
