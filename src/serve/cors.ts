import type { FastifyReply, FastifyRequest } from 'fastify'

const vary = 'origin, access-control-request-method, access-control-request-headers'

/** The origin header of an answer: everyone, or the asking origin when it is listed to the letter. */
function allowedOrigin(listed: readonly string[], origin: string | undefined): string | undefined {
  if (listed.length === 0) return '*'
  return origin !== undefined && listed.includes(origin) ? origin : undefined
}

/** Longest list of headers that is allowed as it was asked for. */
const MAX_ASKED = 1024
const headerList = /^[\w-]+(?: *, *[\w-]+)*$/

/**
 * Headers a browser may send: those it asks for, since keys travel in one and OpenAI's clients put more beside it. Nothing
 * is given away: no credentials of the browser are ever sent along.
 */
const allowedHeaders = (asked: string | undefined): string =>
  asked !== undefined && asked.length <= MAX_ASKED && headerList.test(asked) ? asked : 'content-type'

/** Puts the cross-origin headers on every answer, and answers every OPTIONS request whatever its path. */
export const cors =
  (listed: readonly string[]) =>
  async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    reply.header('vary', vary)
    const origin = allowedOrigin(listed, request.headers.origin)
    if (origin !== undefined) reply.header('access-control-allow-origin', origin)
    if (request.method !== 'OPTIONS') return undefined
    reply.header('access-control-allow-methods', 'GET,POST')
    reply.header('access-control-allow-headers', allowedHeaders(request.headers['access-control-request-headers']))
    return reply.code(200).send()
  }
