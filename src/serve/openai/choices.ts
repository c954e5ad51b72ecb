import type { FastifyRequest } from 'fastify'
import { fail } from '../../base/errors.ts'
import type { FinishReason, Generation, StreamEvent } from '../../library/types.ts'
import { DONE, streamErrorJson } from '../../wire/openai-response.ts'
import { streamErrorOf } from '../errors.ts'
import type { EventStream } from '../event-stream.ts'
import type { Context } from '../tgi/context.ts'
import { type Job, tokensOf } from '../tgi/job.ts'

/** One answer of a stream. */
export interface Choice {
  readonly job: Job
  /** The chunk an event is told in. */
  readonly chunk: (event: StreamEvent) => string
}

/** These routes call the end of a text `stop`. */
export const finishOf = (reason: FinishReason): string => (reason === 'eos_token' ? 'stop' : reason)

/**
 * Streams choices beside each other, then what `closing` says of those that came to their end. An error ends its own
 * choice and is told in its place. Never throws; the stream ends as clients wait for it.
 */
export async function streamChoices(
  context: Context,
  request: FastifyRequest,
  events: EventStream,
  choices: readonly Choice[],
  closing: (ended: readonly Generation[]) => string | undefined = () => undefined,
): Promise<void> {
  const ends = await Promise.all(choices.map((choice) => streamChoice(context, request, events, choice)))
  const last = closing(ends.filter((end) => end !== undefined))
  if (last !== undefined) await events.send(last)
  await events.send(DONE)
  events.end()
}

async function streamChoice(
  context: Context,
  request: FastifyRequest,
  events: EventStream,
  { job, chunk }: Choice,
): Promise<Generation | undefined> {
  try {
    let end: Generation | undefined
    for await (const event of tokensOf(context, request, job, events.signal)) {
      end = event.final
      const behind = events.send(chunk(event))
      if (behind) await behind
      if (events.signal.aborted) fail('request.aborted')
    }
    return end
  } catch (error) {
    context.observer.failed(request, error)
    await events.send(streamErrorJson(streamErrorOf(error).error))
    return undefined
  }
}
