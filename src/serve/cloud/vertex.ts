import type { FastifyReply, FastifyRequest } from 'fastify'
import type { VertexGenerate, VertexInstance, VertexRequest } from '../../wire/cloud.ts'
import { disconnectSignal } from '../disconnect.ts'
import { chatWork } from '../openai/chat-request.ts'
import { checkChatSize } from '../openai/chat-size.ts'
import { Refusal } from '../refusal.ts'
import type { Context } from '../tgi/context.ts'
import { type Job, neutral, runAll } from '../tgi/job.ts'
import { orIncomplete } from './incomplete.ts'

/** Answers `POST /vertex`: the text of each instance. Returns JSON. */
export async function vertex(
  context: Context,
  { instances }: VertexRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<string> {
  if (instances.length === 0) throw new Refusal(422, 'Input validation error', 'Input validation error')
  const chats = instances.filter((instance) => 'messages' in instance)
  checkChatSize(chats, context.settings)
  const jobs = instances.map((instance) => jobOf(context, instance))
  const done = await orIncomplete(runAll(context, request, jobs, disconnectSignal(reply.raw)))
  return JSON.stringify({ predictions: done.map(({ generation }) => generation.text) })
}

const jobOf = (context: Context, instance: VertexInstance): Job =>
  'inputs' in instance ? generateJob(instance) : chatWork(context, { ...instance, n: 1 }).jobs[0]!

/** Always draws, and takes no other parameters. */
const generateJob = ({ inputs, parameters }: VertexGenerate): Job => ({
  inputs,
  parameters: {
    ...neutral,
    do_sample: true,
    max_new_tokens: parameters?.max_new_tokens ?? null,
    seed: parameters?.seed ?? null,
  },
})
