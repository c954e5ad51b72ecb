import assert from 'node:assert/strict'
import type { InfoResponse } from '../../wire/tgi.ts'
import { match, type Template } from './match.ts'

/** What the tables must know of the server they are held against. */
export interface Facts {
  readonly info: InfoResponse
  /** Prompts of exactly as many tokens as a request may have, and of more than it may. */
  readonly prompts: { readonly full: string; readonly tooLong: string }
}

export interface Ask {
  /** POST unless said otherwise. */
  readonly method?: string
  readonly path: string
  /** JSON unless said otherwise. */
  readonly type?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** A text is sent as it is, anything else as JSON. */
  readonly body?: unknown
}

export interface Answer {
  readonly status: number
  /** The content type; null for none, absent for any. */
  readonly type?: string | RegExp | null
  /** Headers that must be there, or, with null, must not. */
  readonly headers?: Readonly<Record<string, string | RegExp | null>>
  readonly text?: string | RegExp
  readonly json?: Template
  /** Data of the events, in order: JSON, or a text such as `[DONE]`. */
  readonly events?: readonly Template[]
  /** The same of a stream of many events. */
  readonly eachEvent?: Template
}

/** One row of a table. */
export interface Case {
  readonly what: string
  readonly ask: Ask
  readonly answer: Answer
  /** A deviation of ours (docs/compatibility.md): what TGI answers is not this. */
  readonly ours?: true
}

export async function check(base: string, { ask, answer }: Case): Promise<void> {
  const { method = 'POST', path, type = 'application/json', headers, body } = ask
  const sent = method === 'POST' && type !== null ? { 'content-type': type, ...headers } : { ...headers }
  const given = typeof body === 'string' ? body : JSON.stringify(body)
  const init = { method, headers: sent, redirect: 'manual' as const, ...(body !== undefined && { body: given }) }
  const response = await fetch(base + path, init)
  const received = await response.text()
  assert.equal(response.status, answer.status, received)
  const contentType = response.headers.get('content-type')
  if (answer.type !== undefined) match(contentType, answer.type, 'content-type')
  for (const [name, value] of Object.entries(answer.headers ?? {})) match(response.headers.get(name), value, name)
  if (answer.text !== undefined) match(received, answer.text, 'text')
  if (answer.json !== undefined) match(JSON.parse(received), answer.json)
  if (answer.events) match(eventsOf(received), answer.events, 'events')
  if (answer.eachEvent) for (const event of eventsOf(received)) match(event, answer.eachEvent, 'event')
}

/** Data of a stream's events, which must be framed to the letter: one line, one space, nothing else. */
export function eventsOf(received: string): unknown[] {
  assert.ok(received.endsWith('\n\n'), JSON.stringify(received.slice(-50)))
  return received
    .slice(0, -2)
    .split('\n\n')
    .filter((frame) => frame !== ':')
    .map((frame) => {
      assert.match(frame, /^data: \S[^\n\r]*$/)
      const data = frame.slice('data: '.length)
      return data.startsWith('{') ? JSON.parse(data) : data
    })
}
