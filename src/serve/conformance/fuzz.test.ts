import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { type LLM, load } from '../../library/index.ts'
import { createServer } from '../server.ts'
import { checkDocumented } from './documented-answer.ts'
import { BodyMaker, type Schema, type Schemas } from './fuzz-bodies.ts'
import { requestBytes } from './fuzz-bytes.ts'
import { Random } from './random.ts'

/** How long each half goes on; `LOQUENT_FUZZ_SECONDS` makes it longer, `LOQUENT_FUZZ_SEED` repeats a run. */
const seconds = Number(process.env['LOQUENT_FUZZ_SECONDS'] ?? 2)
const seed = Number(process.env['LOQUENT_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
/** Requests at one time, below what the server admits. */
const AT_ONCE = 6
/** A client that leaves early does so within this. */
const PATIENCE_MS = 20
/** What a second round may leave in memory, in bytes: caches that fill, not requests that stay. */
const MAX_GROWTH = 8 << 20

interface Document {
  readonly paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>>
  readonly components: { readonly schemas: Schemas }
}

interface Route {
  /** As documented, and as asked. */
  readonly template: string
  readonly path: string
  readonly method: string
  readonly body?: Schema
}

let llm: LLM
let app: FastifyInstance
let base: string
let document: Document
before(async () => {
  llm = await load(undefined, { maxTotalTokens: 32 })
  app = createServer(llm, { logLevel: 'silent' })
  base = await app.listen({ host: '127.0.0.1', port: 0 })
  document = (await (await fetch(`${base}/api-doc/openapi.json`)).json()) as Document
})
after(async () => {
  await app.close()
  await llm.close()
})

const routes = (): readonly Route[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const body = operation.requestBody?.content['application/json']?.schema
      return {
        template: path,
        path: path.replaceAll(/\{\w+\}/g, 'm'),
        method: method.toUpperCase(),
        ...(body && { body }),
      }
    }),
  )

/** Repeats `work` beside itself until its time is over. Returns how often. */
async function repeat(work: (random: Random) => Promise<void>, salt: number): Promise<number> {
  const end = performance.now() + (seconds * 1000) / 2
  let count = 0
  const worker = async (_: unknown, index: number) => {
    const random = new Random(seed + salt * AT_ONCE + index)
    while (performance.now() < end) {
      await work(random)
      count++
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return count
}

/** Memory in use once the garbage is gone; unknown where `--expose-gc` is not given. */
async function heapInUse(): Promise<number | undefined> {
  if (!globalThis.gc) return undefined
  await sleep(100)
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

/** Two rounds of the same: what grows in the second is a leak. */
async function twice(work: (random: Random) => Promise<void>): Promise<string> {
  const counts = [await repeat(work, 0)]
  await nothingLeft()
  const before = await heapInUse()
  counts.push(await repeat(work, 1))
  await nothingLeft()
  const after = await heapInUse()
  const grown = before === undefined || after === undefined ? 0 : after - before
  assert.ok(grown < MAX_GROWTH, `memory grew by ${grown} bytes, seed ${seed}`)
  return `${counts.join(' + ')} requests, seed ${seed}, ${before === undefined ? 'memory not measured' : `grown by ${grown} bytes`}`
}

/** Nothing runs, waits or holds memory any more, and the server answers. */
async function nothingLeft(): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { running, waiting, blocks } = await llm.stats()
    if (running === 0 && waiting === 0 && blocks.held === 0) break
    assert.ok(tries < 400, `left behind, seed ${seed}: ${JSON.stringify({ running, waiting, blocks })}`)
    await sleep(10)
  }
  assert.equal((await fetch(`${base}/health`)).status, 200)
}

async function askRandomly(random: Random): Promise<void> {
  const route = random.pick(routes())
  const { path, method, body } = route
  const text = body && new BodyMaker(random, document.components.schemas).make(body)
  const leave = new AbortController()
  const timer = random.chance(0.1) ? setTimeout(() => leave.abort(), random.below(PATIENCE_MS)) : undefined
  try {
    const headers = text === undefined ? {} : { 'content-type': 'application/json' }
    const init = { method, headers, signal: leave.signal, ...(text !== undefined && { body: text }) }
    const response = await fetch(base + path, init)
    const received = await response.text()
    const told = `seed ${seed}: ${method} ${path} ${text}\n${response.status} ${received.slice(0, 500)}`
    assert.ok([200, 400, 413, 422, 429].includes(response.status), told)
    assert.doesNotMatch(received, /"error_type":"(?:generation|incomplete_generation\w*)"/, told)
    checkDocumented(route, response, received, told)
  } catch (error) {
    if (!leave.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
}

test('bodies made from the OpenAPI document: nothing is a fault of the server, and nothing stays', async (t) => {
  t.diagnostic(await twice(askRandomly))
})

async function sendBytes(random: Random): Promise<void> {
  const socket = connect(Number(new URL(base).port), '127.0.0.1')
  socket.on('error', () => {})
  const bytes = requestBytes(random)
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
  })
  const closed = once(socket, 'close')
  if (random.chance(0.7)) socket.end(bytes)
  else socket.write(bytes)
  const timer = setTimeout(() => socket.destroy(), 200)
  await closed
  clearTimeout(timer)
  const statuses = [...received.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status))
  for (const status of statuses) {
    assert.ok(status < 500 || status === 505, `seed ${seed}: ${status} to ${JSON.stringify(bytes.toString('latin1'))}`)
  }
}

test('bytes that are hardly HTTP: no fault of the server, and nothing stays', async (t) => {
  t.diagnostic(await twice(sendBytes))
})
