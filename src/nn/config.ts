import { fail } from '../base/errors.ts'
import { isRecord } from '../base/record.ts'
import type { Activation } from '../ops/table.ts'

/** Reads the fields of a config.json with checks; a wrong or missing field is a `model.config` error naming it. */
export interface ConfigReader {
  has(key: string): boolean
  /** A positive integer; `fallback` when the key is missing or null. */
  size(key: string, fallback?: number): number
  number(key: string, fallback?: number): number
  flag(key: string, fallback: boolean): boolean
  text(key: string, fallback?: string): string
  numbers(key: string): readonly number[]
  /** An object inside, or undefined when missing or null. */
  object(key: string): ConfigReader | undefined
}

export function readConfig(json: unknown, path = ''): ConfigReader {
  if (!isRecord(json)) fail('model.config', { reason: `${path || 'config.json'} is not an object` })
  const at = (key: string) => (path ? `${path}.${key}` : key)
  const wrong = (key: string, wanted: string): never =>
    fail('model.config', { reason: `${at(key)} is ${JSON.stringify(json[key]) ?? 'missing'}, expected ${wanted}` })
  const read = <T>(key: string, fallback: T | undefined, wanted: string, good: (v: unknown) => v is T): T => {
    const value = json[key] ?? fallback
    return good(value) ? value : wrong(key, wanted)
  }
  const isNumber = (v: unknown): v is number => typeof v === 'number' && Number.isFinite(v)
  const isSize = (v: unknown): v is number => isNumber(v) && Number.isInteger(v) && v > 0
  const isNumbers = (v: unknown): v is readonly number[] => Array.isArray(v) && v.every(isNumber)
  return {
    has: (key) => json[key] != null,
    size: (key, fallback) => read(key, fallback, 'a positive integer', isSize),
    number: (key, fallback) => read(key, fallback, 'a number', isNumber),
    flag: (key, fallback) => read(key, fallback, 'true or false', (v): v is boolean => typeof v === 'boolean'),
    text: (key, fallback) => read(key, fallback, 'a string', (v): v is string => typeof v === 'string'),
    numbers: (key) => read(key, undefined, 'a list of numbers', isNumbers),
    object: (key) => (json[key] == null ? undefined : readConfig(json[key], at(key))),
  }
}

const activationNames: Readonly<Record<string, Activation>> = {
  relu: 'relu',
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  silu: 'silu',
  swish: 'silu',
}

/** The activation that a config's name means. */
export function readActivation(name: string): Activation {
  return activationNames[name] ?? fail('model.config', { reason: `activation ${name} is not supported` })
}
