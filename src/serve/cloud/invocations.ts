import type { FastifyReply, FastifyRequest } from 'fastify'
import type { InvocationRequest } from '../../wire/cloud.ts'
import { chat } from '../openai/chat.ts'
import { completions } from '../openai/completions.ts'
import type { Context } from '../tgi/context.ts'
import { compatGenerate } from '../tgi/routes.ts'

/** Answers `POST /invocations` as the route its body is meant for. */
export function invoke(
  context: Context,
  body: InvocationRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  if ('inputs' in body) return compatGenerate(context, body, request, reply)
  return 'messages' in body ? chat(context, body, request, reply) : completions(context, body, request, reply)
}
