import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  type CompatGenerateRequest,
  CompatGenerateRequestSchema,
  type GenerateRequest,
  GenerateRequestSchema,
} from '../../wire/tgi.ts'
import { compileReading, type Reading } from '../../wire/validate.ts'
import { accept } from '../accept.ts'
import { requireJson } from '../body.ts'
import { sendJson } from '../json-reply.ts'
import type { Context } from './context.ts'
import { generate } from './generate.ts'
import { infoOf } from './info.ts'
import { stream } from './stream.ts'
import { spansJson } from './tokenize.ts'

const readGenerate: (text: string) => Reading<GenerateRequest> = compileReading(GenerateRequestSchema)
const readCompat: (text: string) => Reading<CompatGenerateRequest> = compileReading(CompatGenerateRequestSchema)

/** The native routes. */
export function tgiRoutes(app: FastifyInstance, context: Context): void {
  const { llm, settings } = context
  app.post('/generate', { onRequest: requireJson }, async (request, reply) =>
    sendJson(reply, await generate(context, accept(settings, request, reply, readGenerate), request, reply)),
  )
  app.post('/generate_stream', { onRequest: requireJson }, async (request, reply) =>
    stream(context, accept(settings, request, reply, readGenerate), request, reply),
  )
  app.post('/', { onRequest: requireJson }, async (request, reply) =>
    compatGenerate(context, accept(settings, request, reply, readCompat), request, reply),
  )
  app.post('/tokenize', { onRequest: requireJson }, async (request, reply) => {
    const { inputs } = accept(settings, request, reply, readGenerate)
    return sendJson(reply, await spansJson(await llm.tokenize(inputs)))
  })
  const info = JSON.stringify(infoOf(context))
  app.get('/info', async (_request, reply) => sendJson(reply, info))
}

/** Answers as `POST /` does: with a list of one, or a stream. */
export async function compatGenerate(
  context: Context,
  asked: CompatGenerateRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  const body = withFullText(asked, context)
  if (!body.stream) return sendJson(reply, `[${await generate(context, body, request, reply)}]`)
  await stream(context, body, request, reply)
  return undefined
}

/** `POST /` repeats the prompt unless told not to, where the model is one that continues text or nobody knows. */
function withFullText(body: CompatGenerateRequest, { settings }: Context): CompatGenerateRequest {
  if (body.parameters.return_full_text !== null) return body
  const return_full_text = (settings.modelPipelineTag ?? 'text-generation') === 'text-generation'
  return { ...body, parameters: { ...body.parameters, return_full_text } }
}
