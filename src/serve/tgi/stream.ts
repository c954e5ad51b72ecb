import type { FastifyReply, FastifyRequest } from 'fastify'
import { fail } from '../../base/errors.ts'
import type { Generation, StreamEvent } from '../../library/types.ts'
import { streamJson } from '../../wire/response.ts'
import type { GenerateRequest } from '../../wire/tgi.ts'
import { streamErrorOf } from '../errors.ts'
import { EventStream } from '../event-stream.ts'
import { logFailure, logGenerated } from '../request-log.ts'
import type { Context } from './context.ts'
import { characters } from './headers.ts'
import { optionsOf } from './request.ts'
import { checkRequest, checkStreamable } from './validation.ts'

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
    const start = performance.now()
    const final = await sendTokens(context, body, events)
    logGenerated(request, final, performance.now() - start)
  } catch (error) {
    logFailure(request, error)
    await events.send(JSON.stringify(streamErrorOf(error)))
  } finally {
    events.end()
  }
}

/** Sends the stream and returns its end. */
async function sendTokens(
  { llm, limits, admission }: Context,
  body: GenerateRequest,
  events: EventStream,
): Promise<Generation> {
  checkStreamable(body.parameters)
  const release = admission.take()
  try {
    checkRequest(body, limits)
    let final: Generation | undefined
    for await (const event of llm.stream(body.inputs, optionsOf(body.parameters, events.signal))) {
      final = event.final
      const behind = events.send(eventJson(event, body.parameters.details))
      if (behind) await behind
      if (events.signal.aborted) fail('request.aborted')
    }
    return final ?? fail('request.aborted')
  } finally {
    release()
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
