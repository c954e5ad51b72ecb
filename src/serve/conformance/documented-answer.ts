import assert from 'node:assert/strict'
import { Compile } from 'typebox/schema'
import { ErrorResponseSchema } from '../../wire/answers.ts'
import { documented } from '../openapi/documented.ts'
import { eventsOf } from './cases.ts'

type Check = (value: unknown) => boolean

/** What OpenAI's routes send in place of an event when something fails. */
const streamError = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'http_status_code'],
      properties: { message: { type: 'string' }, http_status_code: { const: 422 } },
    },
  },
}

/** A schema in which objects have no more fields than it names. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]))
  return 'properties' in inner ? { ...inner, additionalProperties: false } : inner
}

const compiled = (schema: unknown): Check => {
  const check = Compile(closed(schema) as never)
  return (value) => check.Check(value)
}

const isError = compiled({ anyOf: [ErrorResponseSchema, streamError] })

/** Checks of every documented answer: `METHOD path status media type`. */
const checks = new Map<string, Check>(
  documented.flatMap(({ method, path, answers }) =>
    answers.flatMap(({ status, content = {} }) =>
      Object.entries(content).map(([type, schema]): [string, Check] => [
        `${method.toUpperCase()} ${path} ${status} ${type}`,
        compiled(schema),
      ]),
    ),
  ),
)

/** Holds an answer against the OpenAPI document: its status and media type are there, and it has the shape told. */
export function checkDocumented(
  { method, template }: { readonly method: string; readonly template: string },
  response: Response,
  received: string,
  told: string,
): void {
  const type = response.headers.get('content-type')?.split(';')[0]
  if (type === undefined) {
    assert.equal(received, '', told)
    return
  }
  const key = `${method} ${template} ${response.status} ${type}`
  const check = checks.get(key)
  assert.ok(check, `not documented: ${key}\n${told}`)
  if (type === 'application/json') assert.ok(check(JSON.parse(received)), `another shape than documented\n${told}`)
  if (type !== 'text/event-stream') return
  for (const event of eventsOf(received)) {
    assert.ok(event === '[DONE]' || isError(event) || check(event), `${JSON.stringify(event)}\n${told}`)
  }
}
