import type { FastifyReply, FastifyRequest } from 'fastify'
import { fail } from '../../base/errors.ts'
import type { Generation, StreamEvent } from '../../library/types.ts'
import { streamJson } from '../../wire/response.ts'
import type { GenerateRequest } from '../../wire/tgi.ts'
import { streamErrorOf } from '../errors.ts'
import { EventStream } from '../event-stream.ts'
import type { Context } from './context.ts'
import { characters } from './headers.ts'
import { tokensOf } from './job.ts'
import { checkStreamable } from './validation.ts'

/** Answers with an event a token. Never throws: whatever goes wrong is the last event of a stream that began with 200. */
export async function stream(
  context: Context,
  body: GenerateRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const { computeType } = context.settings
  const headers = { 'x-compute-type': computeType, 'x-compute-characters': String(characters(body.inputs)) }
  const events = new EventStream(reply, headers, context.settings)
  try {
    await sendTokens(context, body, request, events)
  } catch (error) {
    context.observer.failed(request, error)
    await events.send(JSON.stringify(streamErrorOf(error)))
  } finally {
    events.end()
  }
}

async function sendTokens(context: Context, body: GenerateRequest, request: FastifyRequest, events: EventStream) {
  checkStreamable(body.parameters)
  for await (const event of tokensOf(context, request, body, events.signal)) {
    const behind = events.send(eventJson(event, body.parameters.details))
    if (behind) await behind
    if (events.signal.aborted) fail('request.aborted')
  }
}

function eventJson({ index, token, topTokens, final }: StreamEvent, withDetails: boolean): string {
  return streamJson({
    index,
    token,
    top_tokens: topTokens,
    generated_text: final ? final.text : null,
    details: final && withDetails ? endOf(final) : null,
  })
}

const endOf = (g: Generation) => ({
  finish_reason: g.finishReason,
  generated_tokens: g.generatedTokens,
  seed: g.seed,
  input_length: g.inputTokens,
})
