import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Generation } from '../../library/types.ts'
import { generateJson } from '../../wire/response.ts'
import type { BestOfSequence, Details, GenerateRequest, SequenceDetails } from '../../wire/tgi.ts'
import { disconnectSignal } from '../disconnect.ts'
import { type BestOf, bestOf } from './best-of.ts'
import type { Context } from './context.ts'
import { generationHeaders } from './headers.ts'
import { runAll } from './job.ts'
import { checkBestOf } from './validation.ts'

/** Answers with the whole generation: sets the headers and returns the JSON of the response object. */
export async function generate(
  context: Context,
  body: GenerateRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<string> {
  checkBestOf(body.parameters, context.limits)
  const count = Math.max(1, body.parameters.best_of ?? 1)
  const done = await runAll(context, request, Array(count).fill(body), disconnectSignal(reply.raw))
  const result = bestOf(done.map(({ generation }) => generation))
  const { totalMs } = done.find(({ generation }) => generation === result.winner)!
  reply.headers(generationHeaders(result.winner, body.inputs, totalMs, context.settings.computeType))
  return generateJson(responseOf(body, result))
}

function responseOf({ parameters: p }: GenerateRequest, { winner, others }: BestOf) {
  const generated_text = winner.text
  if (!p.details && !p.decoder_input_details) return { generated_text }
  const details: Details = detailsOf(winner)
  if (others.length === 0) return { generated_text, details }
  return { generated_text, details: { ...details, best_of_sequences: others.map(sequenceOf) } }
}

const sequenceOf = (g: Generation): BestOfSequence => ({ generated_text: g.text, ...detailsOf(g) })

const detailsOf = (g: Generation): SequenceDetails => ({
  finish_reason: g.finishReason,
  generated_tokens: g.generatedTokens,
  seed: g.seed,
  prefill: g.prefill,
  tokens: g.tokens,
  top_tokens: g.topTokens,
})
