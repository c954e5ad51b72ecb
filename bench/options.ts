import { availableParallelism } from 'node:os'
import { type ParseArgsConfig, parseArgs } from 'node:util'

/** Values of `--name value` options; every one may be absent, none may be unknown. */
export function readOptions<const N extends string>(...names: readonly N[]): Readonly<Partial<Record<N, string>>> {
  const options = Object.fromEntries(names.map((n) => [n, { type: 'string' }])) as ParseArgsConfig['options']
  return parseArgs({ options: options!, allowPositionals: false }).values as Partial<Record<N, string>>
}

/** A list such as `1,8,32`. */
export const numbers = (text: string): number[] =>
  text.split(',').map((item) => {
    const value = Number(item)
    if (item.trim() === '' || !Number.isFinite(value)) throw new Error(`${item} is not a number`)
    return value
  })

/** Thread counts of a peer that may be its best: those asked for, or one and all. */
export const threadCounts = (asked: string | undefined): number[] =>
  numbers(asked ?? (availableParallelism() > 1 ? `1,${availableParallelism()}` : '1'))

export const words = (text: string): string[] => text.split(',').map((item) => item.trim())
