import type { Generation } from '../../library/types.ts'

/** Number of Unicode characters, a surrogate pair being one. */
export function characters(text: string): number {
  let count = text.length
  for (let i = 1; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800) count--
  }
  return count
}

/** Headers of a whole answer; `totalMs` from the request's arrival to now. Times are whole milliseconds. */
export function generationHeaders(
  generation: Generation,
  inputs: string,
  totalMs: number,
  computeType: string,
): Record<string, string> {
  const { timings, inputTokens, generatedTokens } = generation
  const validation = Math.max(0, totalMs - timings.queue - timings.inference)
  return {
    'x-compute-type': computeType,
    'x-compute-time': String(Number((totalMs / 1000).toFixed(9))),
    'x-compute-characters': String(characters(inputs)),
    'x-total-time': whole(totalMs),
    'x-validation-time': whole(validation),
    'x-queue-time': whole(timings.queue),
    'x-inference-time': whole(timings.inference),
    'x-time-per-token': whole(timings.inference / Math.max(1, generatedTokens)),
    'x-prompt-tokens': String(inputTokens),
    'x-generated-tokens': String(generatedTokens),
  }
}

const whole = (ms: number): string => String(Math.floor(ms))
