import type { Generation, LLM } from '../../library/types.ts'
import type { GenerateRequest } from '../../wire/tgi.ts'
import { optionsOf } from './request.ts'

export interface BestOf {
  readonly winner: Generation
  /** The rest, in the order they were started. */
  readonly others: readonly Generation[]
}

/** Runs `count` independent generations, each with a seed of its own; if one fails the others are cancelled. */
export async function bestOf(llm: LLM, request: GenerateRequest, count: number, signal: AbortSignal): Promise<BestOf> {
  const cancel = new AbortController()
  const follow = () => cancel.abort()
  signal.addEventListener('abort', follow)
  if (signal.aborted) follow()
  const options = optionsOf(request.parameters, cancel.signal)
  const runs = Array.from({ length: count }, () => llm.generate(request.inputs, options))
  try {
    return split(await Promise.all(runs))
  } catch (error) {
    cancel.abort()
    // Permits are given back when this returns: not before the engine has let go of every run.
    await Promise.allSettled(runs)
    throw error
  } finally {
    signal.removeEventListener('abort', follow)
  }
}

/** The highest mean log-probability wins, the first of equals. */
function split(generations: readonly Generation[]): BestOf {
  const scores = generations.map(meanLogprob)
  const best = scores.indexOf(Math.max(...scores))
  return { winner: generations[best]!, others: generations.filter((_, index) => index !== best) }
}

function meanLogprob({ tokens }: Generation): number {
  const sum = tokens.reduce((total, { logprob }) => total + (logprob ?? Number.NEGATIVE_INFINITY), 0)
  return tokens.length === 0 || Number.isNaN(sum) ? Number.NEGATIVE_INFINITY : sum / tokens.length
}
