import type { FastifyRequest } from 'fastify'
import { type ErrorCode, LoquentError } from '../base/errors.ts'
import type { Generation } from '../library/types.ts'
import { Refusal } from './refusal.ts'

/** One line for each generation: what it cost, never what it said. */
export function logGenerated(request: FastifyRequest, generation: Generation, totalMs: number): void {
  const { inputTokens, generatedTokens, finishReason, timings } = generation
  const times = { totalMs: round(totalMs), queueMs: round(timings.queue), inferenceMs: round(timings.inference) }
  request.log.info({ path: request.url, inputTokens, generatedTokens, finishReason, ...times }, 'generated')
}

const clientAffairs: readonly ErrorCode[] = [
  'request.invalid',
  'request.aborted',
  'engine.overloaded',
  'template.missing',
  'template.failed',
]

/** A request refused or given up is the client's affair; one that failed is ours. */
export function logFailure(request: FastifyRequest, error: unknown): void {
  const facts = { path: request.url }
  if (isTheirs(error)) request.log.info(facts, String((error as Error).message))
  else request.log.error({ ...facts, err: error }, String(error))
}

const isTheirs = (error: unknown): boolean =>
  error instanceof Refusal ? error.status < 500 : error instanceof LoquentError && clientAffairs.includes(error.code)

const round = (ms: number): number => Math.round(ms * 1000) / 1000
