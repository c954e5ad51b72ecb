import type { TSchema } from 'typebox'

/** One route, as a reader of the document needs to know it. */
export interface RouteDoc {
  readonly method: 'get' | 'post'
  /** With parameters in braces: `/v2/models/{model}`. */
  readonly path: string
  readonly operationId: string
  readonly tag: string
  readonly summary: string
  readonly body?: TSchema
  readonly answers: readonly AnswerDoc[]
  readonly secured?: boolean
}

export interface AnswerDoc {
  readonly status: number
  readonly description: string
  /** Shape by media type; absent for an empty answer. */
  readonly content?: Readonly<Record<string, TSchema>>
}

export interface ServiceDoc {
  readonly title: string
  readonly version: string
  readonly description: string
}

type Json = Readonly<Record<string, unknown>>
type Components = Map<string, Json>

/** The OpenAPI 3.0.3 document of routes, with every titled schema among its components. */
export function openapi(service: ServiceDoc, routes: readonly RouteDoc[]): Json {
  const components: Components = new Map()
  const paths = new Map<string, Record<string, Json>>()
  for (const route of routes) {
    const operations = paths.get(route.path) ?? {}
    operations[route.method] = operation(route, components)
    paths.set(route.path, operations)
  }
  return {
    openapi: '3.0.3',
    info: { ...service, license: { name: 'Apache 2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' } },
    paths: Object.fromEntries(paths),
    components: {
      schemas: Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: { api_key: { type: 'http', scheme: 'bearer' } },
    },
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
  }
}

function operation(route: RouteDoc, components: Components): Json {
  const media = (schema: TSchema): Json => ({ schema: described(schema, components) })
  const parameters = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  return {
    tags: [route.tag],
    summary: route.summary,
    operationId: route.operationId,
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && { requestBody: { required: true, content: { 'application/json': media(route.body) } } }),
    responses: Object.fromEntries(route.answers.map((answer) => [answer.status, response(answer, media)])),
    ...(route.secured && { security: [{ api_key: [] }, {}] }),
  }
}

function response({ description, content }: AnswerDoc, media: (schema: TSchema) => Json): Json {
  if (!content) return { description }
  return { description, content: Object.fromEntries(Object.entries(content).map(([type, s]) => [type, media(s)])) }
}

/** A schema in the dialect of OpenAPI 3.0, which has no null type and no constants; a titled one as a reference. */
function described(schema: unknown, components: Components): Json {
  const { title } = schema as { title?: string }
  if (title === undefined) return plain(schema as Json, components)
  if (!components.has(title)) {
    // Known by name before it is looked into, should it contain itself.
    components.set(title, {})
    components.set(title, plain(schema as Json, components))
  }
  return { $ref: `#/components/schemas/${title}` }
}

function plain(schema: Json, components: Components): Json {
  const variants = (schema['anyOf'] ?? schema['oneOf']) as readonly Json[] | undefined
  const [first, second] = variants ?? []
  if (second?.['type'] === 'null') return nullable(described(first, components), schema['default'])
  const inner = (value: unknown) => described(value, components)
  const entries = Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
    if (key.startsWith('x-') || key.startsWith('~')) return []
    if (key === 'const') return [['enum', [value]]]
    if (key === 'anyOf' || key === 'oneOf') return [[key, (value as unknown[]).map(inner)]]
    if (key === 'items' || key === 'additionalProperties') return [[key, inner(value)]]
    if (key !== 'properties') return [[key, value]]
    return [[key, Object.fromEntries(Object.entries(value as Json).map(([name, one]) => [name, inner(one)]))]]
  })
  return Object.fromEntries(entries)
}

/** What may be null; a reference can have nothing beside it, so that it is wrapped. */
function nullable(schema: Json, absent: unknown): Json {
  const base = '$ref' in schema ? { allOf: [schema] } : schema
  return { ...base, nullable: true, ...(absent !== undefined && { default: absent }) }
}
