import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Generation } from '../../library/types.ts'
import { generateJson } from '../../wire/response.ts'
import type { BestOfSequence, Details, GenerateRequest, SequenceDetails } from '../../wire/tgi.ts'
import { disconnectSignal } from '../disconnect.ts'
import { logGenerated } from '../request-log.ts'
import { type BestOf, bestOf } from './best-of.ts'
import type { Context } from './context.ts'
import { generationHeaders } from './headers.ts'
import { checkBestOf, checkRequest } from './validation.ts'

/** Answers with the whole generation: sets the headers and returns the JSON of the response object. */
export async function generate(
  { llm, settings, limits, admission }: Context,
  body: GenerateRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<string> {
  const start = performance.now()
  checkBestOf(body.parameters, limits)
  const count = Math.max(1, body.parameters.best_of ?? 1)
  const release = admission.take(count)
  try {
    checkRequest(body, limits)
    const result = await bestOf(llm, body, count, disconnectSignal(reply.raw))
    const totalMs = performance.now() - start
    logGenerated(request, result.winner, totalMs)
    reply.headers(generationHeaders(result.winner, body.inputs, totalMs, settings.computeType))
    return generateJson(responseOf(body, result))
  } finally {
    release()
  }
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
