import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEosIds, withRopeScaling } from './model-config.ts'

test('end ids come from the generation config, a number or a list, else from the config', () => {
  assert.deepEqual(readEosIds({ eos_token_id: 2 }, { eos_token_id: [5, 6] }), [5, 6])
  assert.deepEqual(readEosIds({ eos_token_id: 2 }, { eos_token_id: 5 }), [5])
  assert.deepEqual(readEosIds({ eos_token_id: [2, 3] }, { eos_token_id: null }), [2, 3])
  assert.deepEqual(readEosIds({ eos_token_id: 2 }, undefined), [2])
  assert.deepEqual(readEosIds({}, {}), [])
  assert.throws(() => readEosIds({ eos_token_id: '2' }, undefined), { code: 'model.config' })
})

test('rope scaling replaces that of the config in either form, and keeps the base', () => {
  const scaling = { type: 'dynamic', factor: 2 } as const
  const older = withRopeScaling({ rope_theta: 5, rope_scaling: { type: 'yarn', factor: 9 } }, scaling)
  assert.deepEqual(older, { rope_theta: 5, rope_scaling: { type: 'dynamic', rope_type: 'dynamic', factor: 2 } })
  const newer = withRopeScaling(
    { rope_parameters: { rope_theta: 5, rope_type: 'llama3', low_freq_factor: 1 } },
    scaling,
  )
  assert.deepEqual(newer, {
    rope_parameters: {
      rope_theta: 5,
      partial_rotary_factor: undefined,
      type: 'dynamic',
      rope_type: 'dynamic',
      factor: 2,
    },
  })
  const config = { rope_theta: 5 }
  assert.equal(withRopeScaling(config, undefined), config)
})

test('rope scaling that makes no sense is refused', () => {
  assert.throws(() => withRopeScaling({}, { type: 'linear', factor: 0.5 }), { code: 'option.invalid' })
  assert.throws(() => withRopeScaling({}, { type: 'yarn' as 'linear', factor: 2 }), { code: 'option.invalid' })
})
