import assert from 'node:assert/strict'
import type { openBackend } from '../../backends/select.ts'
import type { Engine, RequestEvent } from '../engine.ts'
import { loadEngine } from '../load.ts'
import type { EngineOptions, Timings, TokenEvents } from '../spec.ts'
import { tinyModel } from './backends.ts'

/** All that one request was told. */
export interface Answer {
  tokens: TokenEvents['tokens'][number][]
  promptLogprobs?: TokenEvents['promptLogprobs']
  reason?: string
  error?: string
}

/** Collects what an engine tells; `ended(ids)` resolves when all of these requests have. */
export function listener() {
  const answers = new Map<number, Answer>()
  const timings = new Map<number, Timings>()
  let wake = () => {}
  const emit = (events: readonly RequestEvent[]) => {
    for (const event of events) {
      const answer = answers.get(event.id) ?? { tokens: [] }
      answers.set(event.id, answer)
      assert(!answer.reason && !answer.error, 'an ended request was told something')
      if ('error' in event) answer.error = event.error.code
      else {
        answer.tokens.push(...event.events.tokens)
        if (event.events.promptLogprobs) answer.promptLogprobs = event.events.promptLogprobs
        if (event.events.finish) answer.reason = event.events.finish.reason
        if (event.events.finish) timings.set(event.id, event.events.finish.timings)
      }
    }
    wake()
  }
  const ended = async (ids: readonly number[]) => {
    while (!ids.every((id) => answers.get(id)?.reason ?? answers.get(id)?.error)) {
      await new Promise<void>((resolve) => (wake = resolve))
    }
    return ids.map((id) => answers.get(id)!)
  }
  return { answers, timings, emit, ended }
}

export type Listener = ReturnType<typeof listener>

/** An engine around a real model, closed at the end. */
export async function withEngine<T>(
  options: Partial<EngineOptions>,
  use: (engine: Engine, heard: Listener) => Promise<T>,
  open?: typeof openBackend,
): Promise<T> {
  const heard = listener()
  const engine = await loadEngine({ model: tinyModel, ...options }, heard.emit, () => {}, open)
  try {
    return await use(engine, heard)
  } finally {
    await engine.close()
  }
}
