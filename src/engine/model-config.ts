import { fail } from '../base/errors.ts'
import { recordOf } from '../base/record.ts'
import type { EngineOptions } from './spec.ts'

/** A config.json whose rope scaling is replaced, as `--rope-scaling` and `--rope-factor` ask. */
export function withRopeScaling(config: unknown, scaling: EngineOptions['ropeScaling']): unknown {
  if (!scaling) return config
  const { type, factor } = scaling
  if (type !== 'linear' && type !== 'dynamic') {
    fail('option.invalid', { name: 'ropeScaling', reason: `type ${type} is neither linear nor dynamic` })
  }
  if (!(factor >= 1 && Number.isFinite(factor))) {
    fail('option.invalid', { name: 'ropeScaling', reason: `factor ${factor} is not a number of at least 1` })
  }
  const replaced = { type, rope_type: type, factor }
  const json = recordOf(config)
  if (!json['rope_parameters']) return { ...json, rope_scaling: replaced }
  // The newer form keeps the base and the rotary share in the same object.
  const { rope_theta, partial_rotary_factor } = recordOf(json['rope_parameters'])
  return { ...json, rope_parameters: { rope_theta, partial_rotary_factor, ...replaced } }
}

/** Ids that end a text: `eos_token_id`, a number or a list, of generation_config.json, or else of config.json. */
export function readEosIds(config: unknown, generationConfig: unknown): readonly number[] {
  const ids = recordOf(generationConfig)['eos_token_id'] ?? recordOf(config)['eos_token_id'] ?? []
  const list: unknown[] = Array.isArray(ids) ? ids : [ids]
  return list.filter((id): id is number => {
    if (Number.isInteger(id)) return true
    return fail('model.config', { reason: `eos_token_id holds ${JSON.stringify(id)}, expected token ids` })
  })
}
