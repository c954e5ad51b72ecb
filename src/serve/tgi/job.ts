import type { FastifyRequest } from 'fastify'
import { fail } from '../../base/errors.ts'
import type { GenerateOptions, Prompt, StreamEvent } from '../../library/types.ts'
import { type GenerateParameters, GenerateParametersSchema } from '../../wire/tgi.ts'
import { compile } from '../../wire/validate.ts'
import type { Done } from '../outcome.ts'
import { together } from '../together.ts'
import type { Context } from './context.ts'
import { optionsOf } from './request.ts'
import { checkRequest } from './validation.ts'

/** One generation, whichever route asked for it. */
export interface Job {
  readonly inputs: Prompt
  readonly parameters: GenerateParameters
  /** Templates put special tokens themselves. */
  readonly addSpecialTokens?: boolean
}

/** Parameters that change nothing. */
export const neutral: GenerateParameters = compile(GenerateParametersSchema)('{}')

/** Prompts are reused among those who carry the same key, and nobody can find out another's by how fast an answer is. */
function tenantOf({ headers: { authorization } }: FastifyRequest): Pick<GenerateOptions, 'salt'> {
  return authorization === undefined ? {} : { salt: authorization }
}

/** Runs a job under a permit of its own, checked, and told to the observer when it has come to its end. */
export async function* tokensOf(
  { admission, limits, llm, observer }: Context,
  request: FastifyRequest,
  job: Job,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent, void, void> {
  const start = performance.now()
  observer.began(1)
  const release = admission.take()
  try {
    checkRequest(job, limits)
    for await (const event of llm.stream(job.inputs, { ...optionsOf(job, signal), ...tenantOf(request) })) {
      if (event.final) {
        observer.done(request, {
          generation: event.final,
          totalMs: performance.now() - start,
          parameters: job.parameters,
          streamed: true,
        })
        yield event
        return
      }
      yield event
    }
    fail('request.aborted')
  } finally {
    release()
  }
}

/** Runs jobs together under one permit each, all or none, and waits for their ends. */
export async function runAll(
  { admission, limits, llm, observer }: Context,
  request: FastifyRequest,
  jobs: readonly Job[],
  signal: AbortSignal,
): Promise<readonly Done[]> {
  const start = performance.now()
  observer.began(jobs.length)
  const release = admission.take(jobs.length)
  try {
    for (const job of jobs) checkRequest(job, limits)
    const starts = jobs.map((job) => async (cancelled: AbortSignal): Promise<Done> => {
      const generation = await llm.generate(job.inputs, { ...optionsOf(job, cancelled), ...tenantOf(request) })
      return { generation, totalMs: performance.now() - start, parameters: job.parameters }
    })
    const done = await together(signal, starts)
    for (const one of done) observer.done(request, one)
    return done
  } finally {
    release()
  }
}
