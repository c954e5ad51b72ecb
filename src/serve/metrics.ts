import type { FastifyInstance } from 'fastify'
import { errorData } from '../base/errors.ts'
import type { Failure, Metrics } from '../telemetry/metrics.ts'
import type { Observer } from './outcome.ts'
import { Refusal } from './refusal.ts'

/** What `err` of `tgi_request_failure` says of an error; tool refusals are not counted, as in the reference. */
function failureOf(error: unknown): Failure | undefined {
  if (error instanceof Refusal) return error.type === 'tool_error' ? undefined : 'validation'
  switch (errorData(error).code) {
    case 'request.invalid':
      return 'validation'
    case 'engine.overloaded':
      return 'overloaded'
    case 'template.missing':
    case 'template.failed':
      return 'template'
    case 'request.aborted':
      return 'dropped'
    default:
      return 'generation'
  }
}

/** Counts every generation of every route. */
export const metricsObserver = (metrics: Metrics): Observer => ({
  began: (generations) => {
    for (let i = 0; i < generations; i++) metrics.began()
  },
  done: (_request, { generation, totalMs, parameters }) => {
    const { inputTokens, generatedTokens, timings } = generation
    const { queue: queueMs, inference: inferenceMs } = timings
    const validationMs = Math.max(0, totalMs - queueMs - inferenceMs)
    const maxNewTokens = parameters.max_new_tokens ?? generatedTokens
    metrics.delivered({ totalMs, validationMs, queueMs, inferenceMs, inputTokens, generatedTokens, maxNewTokens })
  },
  failed: (_request, error) => {
    const failure = failureOf(error)
    if (failure) metrics.failed(failure)
  },
})

/** `GET /metrics`: the Prometheus text format; asks for no key. */
export function metricsRoute(app: FastifyInstance, metrics: Metrics): void {
  app.get('/metrics', async (_request, reply) => reply.type('text/plain; charset=utf-8').send(await metrics.scrape()))
}
