import { fail } from '../base/errors.ts'
import { type FormatName, rowBytes } from '../tensor/format.ts'
import type { KvFormat } from '../tensor/kv-format.ts'
import type { Catalog } from '../weights/catalog.ts'
import type { EngineOptions } from './spec.ts'

type KvDtype = Exclude<NonNullable<EngineOptions['kvDtype']>, 'auto'>

const named: Readonly<Record<KvDtype, KvFormat>> = { float32: 'f32', bfloat16: 'bf16', int8: 'int8' }

/** Bytes of the tensors, by the format they are stored in. */
export function storedBytes({ tensors }: Catalog): ReadonlyMap<FormatName, number> {
  const bytes = new Map<FormatName, number>()
  for (const { format, shape } of tensors.values()) {
    const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1)
    bytes.set(format, (bytes.get(format) ?? 0) + rows * rowBytes(format, shape.at(-1) ?? 1))
  }
  return bytes
}

/**
 * The format of keys and values that the options ask for. Where they leave it open: float32 beside float32 weights (asked for,
 * or most of what is stored), bfloat16 otherwise. Throws `option.invalid`.
 */
export function chooseKv(
  kvDtype: EngineOptions['kvDtype'],
  wanted: FormatName | undefined,
  catalog: Catalog,
): KvFormat {
  if (kvDtype && kvDtype !== 'auto') {
    if (Object.hasOwn(named, kvDtype)) return named[kvDtype]
    fail('option.invalid', { name: 'kvDtype', reason: `${kvDtype} is not known` })
  }
  const stored = [...storedBytes(catalog)].reduce((most, entry) => (entry[1] > most[1] ? entry : most), ['f32', 0])
  return (wanted ?? stored[0]) === 'f32' ? 'f32' : 'bf16'
}
