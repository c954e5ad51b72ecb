import assert from 'node:assert/strict'
import test from 'node:test'
import { best, hopeful } from './choose.ts'

test('the best setting is the one with the best median, whatever its luckiest round', () => {
  const steady = { setting: 'steady', rates: [100, 102, 98] }
  const lucky = { setting: 'lucky', rates: [3, 400, 2] }
  assert.deepEqual(best([lucky, steady]), { setting: 'steady', rate: 100 })
  assert.equal(best([{ setting: 'none', rates: [0, 0] }]), undefined)
  assert.equal(best([]), undefined)
})

test('a setting far behind is dropped, one not tried yet is kept', () => {
  const tried = [
    { setting: 'a', rates: [100] },
    { setting: 'b', rates: [60] },
    { setting: 'c', rates: [2] },
    { setting: 'd', rates: [] },
  ]
  assert.deepEqual(hopeful(tried), ['a', 'b', 'd'])
  assert.deepEqual(hopeful([{ setting: 'x', rates: [0] }]), ['x'])
})
