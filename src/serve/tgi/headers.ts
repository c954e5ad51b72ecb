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
export const generationHeaders = (
  generation: Generation,
  inputs: string,
  totalMs: number,
  computeType: string,
): Record<string, string> => ({
  ...summedHeaders([{ generation, totalMs }], characters(inputs), computeType),
  'x-compute-time': String(Number((totalMs / 1000).toFixed(9))),
})

/** Headers of an answer made of several generations: the sums of theirs. */
export function summedHeaders(
  runs: readonly { readonly generation: Generation; readonly totalMs: number }[],
  characterCount: number,
  computeType: string,
): Record<string, string> {
  const sum = (of: (run: { generation: Generation; totalMs: number }) => number) =>
    String(runs.reduce((total, run) => total + Math.floor(of(run)), 0))
  return {
    'x-compute-type': computeType,
    'x-compute-characters': String(characterCount),
    'x-total-time': sum(({ totalMs }) => totalMs),
    'x-validation-time': sum(({ totalMs, generation: { timings } }) =>
      Math.max(0, totalMs - timings.queue - timings.inference),
    ),
    'x-queue-time': sum(({ generation }) => generation.timings.queue),
    'x-inference-time': sum(({ generation }) => generation.timings.inference),
    'x-time-per-token': sum(({ generation: g }) => g.timings.inference / Math.max(1, g.generatedTokens)),
    'x-prompt-tokens': sum(({ generation }) => generation.inputTokens),
    'x-generated-tokens': sum(({ generation }) => generation.generatedTokens),
  }
}
