import type { FastifyInstance } from 'fastify'
import {
  type CompatGenerateRequest,
  CompatGenerateRequestSchema,
  type GenerateRequest,
  GenerateRequestSchema,
} from '../../wire/tgi.ts'
import { compile } from '../../wire/validate.ts'
import { readBody, requireJson } from '../body.ts'
import { sendJson } from '../json-reply.ts'
import type { Context } from './context.ts'
import { generate } from './generate.ts'
import { infoOf } from './info.ts'
import { stream } from './stream.ts'

const readGenerate: (text: string) => GenerateRequest = compile(GenerateRequestSchema)
const readCompat: (text: string) => CompatGenerateRequest = compile(CompatGenerateRequestSchema)

/** The native routes. */
export function tgiRoutes(app: FastifyInstance, context: Context): void {
  app.post('/generate', { onRequest: requireJson }, async (request, reply) =>
    sendJson(reply, await generate(context, readBody(request.body, readGenerate), request, reply)),
  )
  app.post('/generate_stream', { onRequest: requireJson }, async (request, reply) =>
    stream(context, readBody(request.body, readGenerate), request, reply),
  )
  app.post('/', { onRequest: requireJson }, async (request, reply) => {
    const body = withFullText(readBody(request.body, readCompat), context)
    if (body.stream) return stream(context, body, request, reply)
    return sendJson(reply, `[${await generate(context, body, request, reply)}]`)
  })
  const info = JSON.stringify(infoOf(context))
  app.get('/info', async (_request, reply) => sendJson(reply, info))
}

/** `POST /` repeats the prompt unless told not to, where the model is one that continues text or nobody knows. */
function withFullText(body: CompatGenerateRequest, { settings }: Context): CompatGenerateRequest {
  if (body.parameters.return_full_text !== null) return body
  const return_full_text = (settings.modelPipelineTag ?? 'text-generation') === 'text-generation'
  return { ...body, parameters: { ...body.parameters, return_full_text } }
}
