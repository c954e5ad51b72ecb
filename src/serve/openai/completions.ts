import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Prompt, StreamEvent } from '../../library/types.ts'
import type { CompletionRequest } from '../../wire/openai.ts'
import { CompletionChunks, completionJson } from '../../wire/openai-response.ts'
import { disconnectSignal } from '../disconnect.ts'
import { EventStream } from '../event-stream.ts'
import { sendJson } from '../json-reply.ts'
import { Refusal } from '../refusal.ts'
import type { Context } from '../tgi/context.ts'
import { characters, summedHeaders } from '../tgi/headers.ts'
import { type Job, runAll } from '../tgi/job.ts'
import { finishOf, streamChoices } from './choices.ts'
import { envelopeOf, usageOf } from './envelope.ts'
import { answerParameters, choiceCount, samplingOf } from './sampling.ts'

/** Answers `POST /v1/completions`: `n` answers to each of its prompts, those of the first prompt first. */
export async function completions(
  context: Context,
  body: CompletionRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  const work = completionWork(context, body)
  if (!body.stream) return sendJson(reply, await answer(context, work, request, reply))
  await stream(context, work, request, reply)
  return undefined
}

interface CompletionWork {
  readonly jobs: readonly Job[]
  /** Answers to each prompt. */
  readonly each: number
}

const suffixRefusal = (): Refusal =>
  new Refusal(422, 'suffix not supported', 'Suffix is not supported and can be achieved by preprocessing the prompt.')

const batchRefusal = (most: number): Refusal =>
  new Refusal(422, 'batch size exceeded', `Number of prompts exceeds the maximum allowed batch size of ${most}`)

function completionWork({ settings }: Context, body: CompletionRequest): CompletionWork {
  if (body.suffix !== null) throw suffixRefusal()
  const prompts = promptsOf(body.prompt)
  if (prompts.length > settings.maxClientBatchSize) throw batchRefusal(settings.maxClientBatchSize)
  const each = choiceCount(body, Math.floor(settings.maxConcurrentRequests / prompts.length))
  const parameters = {
    ...samplingOf(body),
    max_new_tokens: body.max_tokens,
    repetition_penalty: body.repetition_penalty,
  }
  const jobs = prompts.flatMap((inputs) =>
    Array.from({ length: each }, (_, index) => ({ inputs, parameters: answerParameters(parameters, index) })),
  )
  return { jobs, each }
}

/** A list of numbers is one prompt of token ids. */
function promptsOf(prompt: CompletionRequest['prompt']): readonly Prompt[] {
  if (typeof prompt === 'string') return [prompt]
  return typeof prompt[0] === 'number' ? [prompt as readonly number[]] : (prompt as readonly Prompt[])
}

const charactersOf = ({ llm }: Context, jobs: readonly Job[]): number =>
  jobs.reduce((sum, { inputs }) => sum + characters(typeof inputs === 'string' ? inputs : llm.decode(inputs)), 0)

async function answer(
  context: Context,
  { jobs, each }: CompletionWork,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<string> {
  const { settings } = context
  const done = await runAll(context, request, jobs, disconnectSignal(reply.raw))
  reply.headers(summedHeaders(done, charactersOf(context, jobs), settings.computeType))
  const generations = done.map(({ generation }) => generation)
  const choices = generations.map((g, index) => ({ index, text: g.text, finish_reason: finishOf(g.finishReason) }))
  const firsts = generations.filter((_, index) => index % each === 0)
  const usage = usageOf([...firsts, ...generations.filter((_, index) => index % each !== 0)], firsts.length)
  return completionJson(envelopeOf(settings, settings.modelId), choices, usage)
}

async function stream(
  context: Context,
  { jobs }: CompletionWork,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const { settings } = context
  const headers = {
    'x-compute-type': settings.computeType,
    'x-compute-characters': String(charactersOf(context, jobs)),
  }
  const chunks = new CompletionChunks(envelopeOf(settings, settings.modelId))
  const events = new EventStream(reply, headers, settings)
  const choices = jobs.map((job, index) => ({ job, chunk: (event: StreamEvent) => pieceOf(chunks, event, index) }))
  await streamChoices(context, request, events, choices)
}

/** In a stream the end of a text is called `eos_token`, and a reason that is not there yet is empty. */
function pieceOf(chunks: CompletionChunks, { token, final }: StreamEvent, index: number): string {
  const piece = { index, text: token.text, finish_reason: final?.finishReason ?? '' }
  return final ? chunks.last(piece, usageOf([final])) : chunks.piece(piece)
}
