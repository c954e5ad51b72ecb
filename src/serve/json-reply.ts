import type { FastifyReply } from 'fastify'

/** Sends JSON already written. As bytes, since to a text the framework adds a charset the reference server does not have. */
export const sendJson = (reply: FastifyReply, json: string): FastifyReply =>
  reply.type('application/json').send(Buffer.from(json))
