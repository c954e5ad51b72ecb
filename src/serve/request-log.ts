import type { FastifyRequest } from 'fastify'
import { LoquentError } from '../base/errors.ts'
import type { Generation } from '../library/types.ts'

/** One line for each generation: what it cost, never what it said. */
export function logGenerated(request: FastifyRequest, generation: Generation, totalMs: number): void {
  const { inputTokens, generatedTokens, finishReason, timings } = generation
  const times = { totalMs: round(totalMs), queueMs: round(timings.queue), inferenceMs: round(timings.inference) }
  request.log.info({ path: request.url, inputTokens, generatedTokens, finishReason, ...times }, 'generated')
}

/** A request refused is the client's affair; one that failed is ours. */
export function logFailure(request: FastifyRequest, error: unknown): void {
  const refused = error instanceof LoquentError && ['request.invalid', 'engine.overloaded'].includes(error.code)
  if (refused) request.log.info(error.message)
  else request.log.error(error)
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000
