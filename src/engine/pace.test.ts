import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openBackend } from '../backends/select.ts'
import { openCheckpoint } from '../weights/open.ts'
import { defaultStretch, fixedTokens, paceOf } from './pace.ts'
import { prepare } from './prepare.ts'
import { Sequence } from './sequence.ts'
import { tinyModel } from './testing/backends.ts'
import { specOf } from './testing/simulation.ts'

const program = (() => {
  const { backend } = openBackend({ backend: 'reference' })
  const checkpoint = openCheckpoint(tinyModel)
  try {
    return prepare(checkpoint, backend, { model: tinyModel }).program
  } finally {
    checkpoint.close()
    backend.close()
  }
})()

test('a token costs more the more it attends to, and a chunk what it reads again', () => {
  const pace = paceOf(program)
  assert.equal(pace.cost(0, 5), 5)
  const [one, two, far] = [pace.cost(100, 1), pace.cost(100, 2), pace.cost(200, 1)]
  assert(two - one > 1 && two - one < one, `${one}, ${two}`)
  assert(Math.abs(far - 1 - 2 * (one - 1)) < 1e-9)
})

test('what is affordable is the most that does not cost more', () => {
  const pace = paceOf(program)
  for (const context of [0, 10, 100]) {
    for (const units of [0.5, 3, 40]) {
      const count = pace.affordable(context, units)
      assert(count === 0 || pace.cost(context, count) <= units + 1e-9)
      assert(pace.cost(context, count + 1) > units)
    }
  }
})

test('beside decoding sequences prompts may take what makes the step as many times longer as asked', () => {
  const decoding = Array.from({ length: 8 }, (_, id) => new Sequence(id, specOf({})))
  const pace = paceOf(program)
  assert.equal(pace.plain(decoding), fixedTokens + 8)
  assert.equal(pace.allowance(pace.plain(decoding)), (defaultStretch - 1) * (fixedTokens + 8))
  assert.equal(paceOf(program, 11).allowance(2), 20)
})
