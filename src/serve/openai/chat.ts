import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Generation, StreamEvent, Token } from '../../library/types.ts'
import type { ChatLogprob, ChatRequest } from '../../wire/openai.ts'
import { ChatChunks, chatJson } from '../../wire/openai-response.ts'
import { disconnectSignal } from '../disconnect.ts'
import { EventStream } from '../event-stream.ts'
import { sendJson } from '../json-reply.ts'
import type { Context } from '../tgi/context.ts'
import { characters, generationHeaders, summedHeaders } from '../tgi/headers.ts'
import { runAll } from '../tgi/job.ts'
import { type ChatWork, chatWork } from './chat-request.ts'
import { finishOf, streamChoices } from './choices.ts'
import { envelopeOf, usageOf } from './envelope.ts'

/** Answers `POST /v1/chat/completions`. What is wrong with the conversation is told before a stream begins. */
export async function chat(
  context: Context,
  body: ChatRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  const work = chatWork(context, body)
  if (!body.stream) return sendJson(reply, await answer(context, body, work, request, reply))
  await stream(context, body, work, request, reply)
  return undefined
}

async function answer(
  context: Context,
  body: ChatRequest,
  { prompt, jobs }: ChatWork,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<string> {
  const { settings } = context
  const done = await runAll(context, request, jobs, disconnectSignal(reply.raw))
  const generations = done.map(({ generation }) => generation)
  const [first] = done
  reply.headers(
    done.length === 1
      ? generationHeaders(first!.generation, prompt, first!.totalMs, settings.computeType)
      : summedHeaders(done, jobs.length * characters(prompt), settings.computeType),
  )
  const choices = generations.map((g, index) => ({
    index,
    content: g.text,
    logprobs: body.logprobs ? g.tokens.map((token, i) => logprobOf(token, g.topTokens[i])) : null,
    finish_reason: finishOf(g.finishReason),
  }))
  return chatJson(envelopeOf(settings, modelOf(context, body)), choices, usageOf(generations, 1))
}

async function stream(
  context: Context,
  body: ChatRequest,
  { prompt, jobs }: ChatWork,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const { settings } = context
  const headers = { 'x-compute-type': settings.computeType, 'x-compute-characters': String(characters(prompt)) }
  const chunks = new ChatChunks(envelopeOf(settings, modelOf(context, body)))
  const events = new EventStream(reply, headers, settings)
  const withLogprobs = body.logprobs === true
  const choices = jobs.map((job, index) => ({
    job,
    chunk: (event: StreamEvent) => chunks.piece(deltaOf(event, index, withLogprobs)),
  }))
  const withUsage = body.stream_options?.include_usage === true
  const closing = (ended: readonly Generation[]) =>
    withUsage && ended.length > 0 ? chunks.usage(usageOf(ended, 1)) : undefined
  await streamChoices(context, request, events, choices, closing)
}

const deltaOf = ({ token, topTokens, final }: StreamEvent, index: number, withLogprobs: boolean) => ({
  index,
  content: token.special ? '' : token.text,
  logprobs: withLogprobs ? [logprobOf(token, topTokens)] : null,
  finish_reason: final ? finishOf(final.finishReason) : null,
})

const logprobOf = ({ text, logprob }: Token, top: readonly Token[] = []): ChatLogprob => ({
  token: text,
  logprob,
  top_logprobs: top.map((t) => ({ token: t.text, logprob: t.logprob })),
})

/** The name that was asked for is the name that answers, but for the placeholder. */
const modelOf = ({ settings }: Context, { model }: ChatRequest): string =>
  model === null || model === 'tgi' ? settings.modelId : model
