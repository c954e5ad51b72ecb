import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoquentError } from '../base/errors.ts'
import { openBackend } from './select.ts'

/** Whether this machine has the addon; both answers are tested, each where it is true. */
function cpuOpens(): boolean {
  try {
    openBackend({ backend: 'cpu', threads: 1 }).backend.close()
    return true
  } catch (error) {
    assert.ok(error instanceof LoquentError && error.code === 'backend.unavailable', String(error))
    return false
  }
}

test('auto takes the cpu, or the reference with a sentence that says why and what to do', () => {
  const { backend, notice } = openBackend({ backend: 'auto', threads: 1 })
  if (cpuOpens()) {
    assert.equal(backend.traits.name, 'cpu')
    assert.equal(notice, undefined)
  } else {
    assert.equal(backend.traits.name, 'reference')
    assert.match(notice!, /native addon.*npm run build/)
  }
  backend.close()
})

test('the reference is there by name, without a notice, and verified on request', () => {
  const { backend, notice } = openBackend({ backend: 'reference' })
  assert.equal(backend.traits.name, 'reference')
  assert.equal(notice, undefined)
  const verified = openBackend({ backend: 'reference', verify: true }).backend
  assert.match(verified.traits.detail, /verified/)
})

test('a wish that cannot be had is an error, not a fallback', {
  skip: !cpuOpens() && 'no native addon was built',
}, () => {
  assert.throws(() => openBackend({ backend: 'auto', isa: 'abacus' }), { code: 'option.invalid' })
})
