import type { FastifyInstance } from 'fastify'
import {
  type ChatRequest,
  ChatRequestSchema,
  type CompletionRequest,
  CompletionRequestSchema,
} from '../../wire/openai.ts'
import { compileReading, type Reading } from '../../wire/validate.ts'
import { accept } from '../accept.ts'
import { requireJson } from '../body.ts'
import { sendJson } from '../json-reply.ts'
import type { Context } from '../tgi/context.ts'
import { spansJson } from '../tgi/tokenize.ts'
import { chat } from './chat.ts'
import { promptOf } from './chat-request.ts'
import { completions } from './completions.ts'

const readChat: (text: string) => Reading<ChatRequest> = compileReading(ChatRequestSchema)
const readCompletion: (text: string) => Reading<CompletionRequest> = compileReading(CompletionRequestSchema)

/** The OpenAI routes, and what belongs to chats. */
export function openaiRoutes(app: FastifyInstance, context: Context): void {
  const { llm, settings } = context
  app.post('/v1/chat/completions', { onRequest: requireJson }, async (request, reply) =>
    chat(context, accept(settings, request, reply, readChat), request, reply),
  )
  app.post('/v1/completions', { onRequest: requireJson }, async (request, reply) =>
    completions(context, accept(settings, request, reply, readCompletion), request, reply),
  )
  app.post('/chat_tokenize', { onRequest: requireJson }, async (request, reply) => {
    const prompt = promptOf(context, accept(settings, request, reply, readChat))
    const spans = await spansJson(await llm.tokenize(prompt, false))
    return sendJson(reply, `{"tokenize_response":${spans},"templated_text":${JSON.stringify(prompt)}}`)
  })
  const model = { id: settings.modelId, object: 'model', created: 0, owned_by: settings.modelId }
  const models = JSON.stringify({ object: 'list', data: [model] })
  app.get('/v1/models', async (_request, reply) => sendJson(reply, models))
}
