import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { type LLM, load } from '../library/index.ts'
import { createServer } from './server.ts'

const pids: number[] = []
let llm: LLM
let app: FastifyInstance
let url: string
before(async () => {
  const onNotice = (text: string) => {
    const pid = /^engine process (\d+) started$/.exec(text)?.[1]
    if (pid) pids.push(Number(pid))
  }
  llm = await load(undefined, { engine: 'process', onNotice })
  app = createServer(llm, { logLevel: 'silent' })
  url = await app.listen({ host: '127.0.0.1', port: 0 })
})
after(async () => {
  await app.close()
  await llm.close()
})

/** Streams of eight clients, greedy and drawn; `heard` after each piece of each. */
function streams(heard: () => void): Promise<string[]> {
  const one = async (i: number) => {
    const parameters = { max_new_tokens: 250, ...(i % 2 && { do_sample: true, seed: i, temperature: 1.3 }) }
    const body = JSON.stringify({ inputs: `Once upon a time ${'there was '.repeat(i)}`, parameters })
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}/generate_stream`, { method: 'POST', headers, body })
    const decoder = new TextDecoder()
    let text = ''
    for await (const piece of response.body!) {
      text += decoder.decode(piece, { stream: true })
      heard()
    }
    return text
  }
  return Promise.all(Array.from({ length: 8 }, (_, i) => one(i)))
}

test('clients do not notice that the engine was killed while they were served', async () => {
  const undisturbed = await streams(() => {})
  assert.match(undisturbed[0]!, /"generated_text":"[^"]/)
  let killed = false
  const disturbed = await streams(() => {
    if (!killed) process.kill(pids[0]!, 'SIGKILL')
    killed = true
  })
  assert.deepEqual(disturbed, undisturbed)
  const stats = await llm.stats()
  assert.deepEqual([pids.length, stats.restarts, stats.running, stats.blocks.held], [2, 1, 0, 0])
})

test('health tells of a restart while it lasts', async () => {
  const status = async (path: string) => (await fetch(url + path)).status
  assert.deepEqual([await status('/health/ready'), await status('/health/live')], [200, 200])
  process.kill(pids.at(-1)!, 'SIGKILL')
  while (llm.state === 'serving') await sleep(1)
  assert.deepEqual([await status('/health/ready'), await status('/health/live')], [503, 200])
  assert.equal(llm.state, 'restarting')
  const answer = fetch(`${url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"inputs":"Once"}',
  })
  assert.equal((await answer).status, 200)
  assert.deepEqual([await status('/health/ready'), await status('/health/live')], [200, 200])
})
