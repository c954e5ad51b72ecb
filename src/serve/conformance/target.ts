import { load } from '../../library/index.ts'
import type { InfoResponse } from '../../wire/tgi.ts'
import { createServer } from '../server.ts'
import type { Facts } from './cases.ts'

/** A server that runs, of ours unless another was named. */
export interface Target {
  readonly base: string
  /** Ours: rows that TGI answers otherwise are held against it too. */
  readonly ours: boolean
  readonly facts: Facts
  close(): Promise<void>
}

/** The server at the address in `LOQUENT_CONFORMANCE_URL`, or one of ours over the embedded model. */
export async function openTarget(): Promise<Target> {
  const named = process.env['LOQUENT_CONFORMANCE_URL']
  const { base, close } = named ? { base: named.replace(/\/$/, ''), close: async () => {} } : await startOurs()
  return { base, ours: !named, facts: await factsOf(base), close }
}

async function startOurs() {
  const llm = await load()
  const app = createServer(llm, { logLevel: 'silent', version: '0.0.0' })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const close = async () => {
    await app.close()
    await llm.close()
  }
  return { base, close }
}

async function factsOf(base: string): Promise<Facts> {
  const info = (await (await fetch(`${base}/info`)).json()) as InfoResponse
  const word = ' a'
  const overhead = (await tokensIn(base, word)) - 1
  const prompt = (tokens: number) => word.repeat(tokens - overhead)
  return { info, prompts: { full: prompt(info.max_total_tokens), tooLong: prompt(info.max_total_tokens + 7) } }
}

async function tokensIn(base: string, inputs: string): Promise<number> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${base}/tokenize`, { method: 'POST', headers, body: JSON.stringify({ inputs }) })
  return ((await response.json()) as unknown[]).length
}
