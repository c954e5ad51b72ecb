import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { KserveRequestSchema, VertexRequestSchema } from '../../wire/cloud.ts'
import { ChatRequestSchema, CompletionRequestSchema } from '../../wire/openai.ts'
import { CompatGenerateRequestSchema, GenerateParametersSchema, GenerateRequestSchema } from '../../wire/tgi.ts'
import { LiveServer } from '../testing/live-server.ts'

type Schema = Record<string, unknown> & { readonly properties?: Record<string, Schema>; readonly required?: string[] }

let live: LiveServer
let document: {
  readonly openapi: string
  readonly paths: Record<string, Record<string, { readonly operationId: string; readonly responses: object }>>
  readonly components: { readonly schemas: Record<string, Schema> }
}
before(async () => {
  live = await LiveServer.start()
  document = JSON.parse(await (await fetch(live.url('/api-doc/openapi.json'))).text())
})
after(() => live.close())

/** Pages for people, which are no part of the protocol. */
const pages = ['/docs', '/docs/', '/ui', '/api-doc/openapi.json']

/** `METHOD /path` of every mounted route, from the tree the framework prints. */
function mounted(): string[] {
  const stack: string[] = []
  return live.app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent, name, methods] = /^([^\w/]*── )(\S*) \((.*)\)$/.exec(line) ?? []
      if (indent === undefined) return []
      const depth = indent.length / 4
      stack.length = depth - 1
      stack[depth - 1] = name!
      return methods!
        .split(', ')
        .filter((method) => method !== 'HEAD')
        .map((method) => `${method} ${stack.join('')}`)
    })
}

test('every route is there, and nothing else', () => {
  const told = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
  )
  const served = mounted().filter((route) => !pages.includes(route.split(' ')[1]!))
  assert.ok(served.length > 20)
  assert.deepEqual(told.sort(), served.sort())
})

test('every field of every request is there, and which must be given', () => {
  const requests = [
    GenerateRequestSchema,
    CompatGenerateRequestSchema,
    GenerateParametersSchema,
    ChatRequestSchema,
    CompletionRequestSchema,
    VertexRequestSchema,
    KserveRequestSchema,
  ]
  for (const schema of requests) {
    const { title, properties, required } = schema as unknown as Schema & { title: string }
    const told = document.components.schemas[title]!
    assert.deepEqual(Object.keys(told.properties!), Object.keys(properties!), title)
    assert.deepEqual(told.required, required, title)
  }
})

test('the document keeps to OpenAPI 3.0: references that lead somewhere, no null type, no words of our own', () => {
  assert.equal(document.openapi, '3.0.3')
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      assert.doesNotMatch(key, /^(x-|~|const$)/)
      if (key === 'type') assert.notEqual(inner, 'null')
      if (key === '$ref') assert.ok(document.components.schemas[String(inner).split('/').at(-1)!], String(inner))
      walk(inner)
    }
  }
  walk(document)
  const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((o) => o.operationId))
  assert.equal(new Set(ids).size, ids.length)
})

test('a nullable field says so', () => {
  const { temperature, response_format } = document.components.schemas['ChatRequest']!.properties!
  assert.equal(temperature!['nullable'], true)
  assert.equal(temperature!['format'], 'float')
  assert.equal(response_format!['nullable'], true)
})

test('/docs leads to a page that needs nothing from elsewhere', async () => {
  const hop = await fetch(live.url('/docs'), { redirect: 'manual' })
  assert.equal(hop.status, 303)
  assert.equal(hop.headers.get('location'), '/docs/')
  const page = await fetch(live.url('/docs/'))
  assert.match(page.headers.get('content-type')!, /^text\/html/)
  assert.doesNotMatch(await page.text(), /https?:\/\//)
})
