import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Reading } from '../wire/validate.ts'
import { BodyRejection, readBody } from './body.ts'

/** Longest name of an ignored field that is told. */
const MAX_NAME = 64

/**
 * Reads the body of a request. Fields nobody knows are named in a header of the answer and in the log, so that a mistyped
 * parameter does not go unnoticed; a strict server refuses them.
 */
export function accept<T>(
  { strict }: { readonly strict: boolean },
  request: FastifyRequest,
  reply: FastifyReply,
  read: (text: string) => Reading<T>,
): T {
  const { value, ignored } = readBody(request.body, read)
  if (ignored.length === 0) return value
  const names = ignored.map(printable)
  if (strict) throw unknownField(names[0]!)
  reply.header('x-loquent-ignored', names.join(', '))
  request.log.info({ path: request.url, ignored: names }, 'unknown fields ignored')
  return value
}

const unknownField = (name: string): BodyRejection =>
  new BodyRejection(422, `Failed to deserialize the JSON body into the target type: unknown field \`${name}\``)

/** A name as a header can carry it. */
const printable = (name: string): string => name.slice(0, MAX_NAME).replace(/[^\x21-\x7e]|,/g, '?')
