import { isUtf8 } from 'node:buffer'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { describeOffset, JsonSyntaxError } from '../wire/json.ts'
import { describeShape, JsonShapeError } from '../wire/validate.ts'

/** A body that was refused before any handler saw it; told as plain text, unlike all other errors. */
export class BodyRejection extends Error {
  readonly status: number

  constructor(status: number, text: string) {
    super(text)
    this.name = 'BodyRejection'
    this.status = status
  }
}

const mediaType = /^application\/(?:json|[^;\s]+\+json)\s*(?:;|$)/i

export const wrongMediaType = (): BodyRejection =>
  new BodyRejection(415, 'Expected request with `Content-Type: application/json`')

export const tooLarge = (): BodyRejection =>
  new BodyRejection(413, 'Failed to buffer the request body: length limit exceeded')

const notJson = (reason: string): BodyRejection =>
  new BodyRejection(400, `Failed to parse the request body as JSON: ${reason}`)

/** Hook of every route that reads JSON: the media type is looked at before the body is read. */
export async function requireJson(request: FastifyRequest, _reply: FastifyReply): Promise<void> {
  if (!mediaType.test(request.headers['content-type'] ?? '')) throw wrongMediaType()
}

/** Reads a body with a reader of `wire`; throws `BodyRejection`. */
export function readBody<T>(body: unknown, read: (text: string) => T): T {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  const text = bytes.toString()
  if (!isUtf8(bytes))
    throw notJson(`invalid unicode code point at ${describeOffset(text, firstReplacement(bytes, text))}`)
  try {
    return read(text)
  } catch (error) {
    throw rejection(error, text)
  }
}

function rejection(error: unknown, text: string): unknown {
  if (error instanceof JsonSyntaxError) return notJson(`${error.message} at ${describeOffset(text, error.offset)}`)
  if (!(error instanceof JsonShapeError)) return error
  const reason = `${describeShape(error)} at ${describeOffset(text, error.offset)}`
  return new BodyRejection(422, `Failed to deserialize the JSON body into the target type: ${reason}`)
}

/** Offset of the first replacement character that decoding put in. */
function firstReplacement(bytes: Buffer, text: string): number {
  const decoded = Buffer.from(text)
  let at = 0
  while (bytes[at] === decoded[at]) at++
  return decoded.subarray(0, at).toString().length
}
