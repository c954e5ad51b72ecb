import { isIP } from 'node:net'
import { InvalidArgumentError } from 'commander'
import { indexList } from '../base/index-list.ts'

export function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < minimum)
      throw new InvalidArgumentError(`expected an integer of at least ${minimum}`)
    return value
  }
}

/** A list of positive integers, separated by commas. */
export function integers(text: string): number[] {
  return text.split(',').map(integer(1)) as number[]
}

/** Processors: numbers and ranges, such as 0,2-3. */
export function processors(text: string): number[] {
  const list = indexList(text)
  if (!list) throw new InvalidArgumentError('expected processors, such as 0,2-3')
  return list
}

/** All nodes in turn, or one of them. */
export function numa(text: string): 'interleave' | number {
  if (text === 'interleave') return text
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected interleave, or the number of a node')
}

export function real(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number')
  return value
}

/** commander takes any value of a boolean's variable for true; TGI's launcher reads true and false. */
export function boolean(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new InvalidArgumentError('expected true or false')
}

export function address(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError('expected an IP address')
  return text
}

/** The address of a service, such as http://127.0.0.1:4317. */
export function url(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError('expected a URL such as http://127.0.0.1:4317')
  return text
}

/** Unsigned 64-bit, which a number cannot hold. */
export function seed(text: string): bigint {
  if (!/^\d+$/.test(text) || BigInt(text) > 0xffff_ffff_ffff_ffffn)
    throw new InvalidArgumentError('expected an unsigned 64-bit integer')
  return BigInt(text)
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

const levels: Readonly<Record<string, LogLevel>> = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  off: 'silent',
  silent: 'silent',
}

/** A level, or a filter of TGI's such as `info,text_generation_router=debug`, of which the bare level counts. */
export function logLevel(text: string): LogLevel {
  const parts = text.split(',').map((part) => part.trim().toLowerCase())
  const bare = parts.find((part) => part !== '' && !part.includes('='))
  const level = bare === undefined ? 'info' : levels[bare]
  if (level === undefined) throw new InvalidArgumentError(`expected ${Object.keys(levels).join(', ')}`)
  return level
}

const kvFormats = ['auto', 'float32', 'bfloat16', 'int8']

/** TGI's 8-bit floats stand for the format of ours that has their size. */
export function kvFormat(text: string): string {
  if (text === 'fp8_e4m3fn' || text === 'fp8_e5m2') return 'int8'
  if (!kvFormats.includes(text)) throw new InvalidArgumentError(`expected ${kvFormats.join(', ')}`)
  return text
}
