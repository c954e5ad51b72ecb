import type { FastifyReply } from 'fastify'
import type { LLM } from '../library/types.ts'
import { unhealthy } from './errors.ts'
import { sendJson } from './json-reply.ts'

/**
 * Liveness: the engine answers a question about itself within a deadline. A busy engine is a healthy one, and so is one
 * that had to refuse or fail a request. Probes share one question, so that none pile up behind an engine that hangs.
 */
export class Health {
  readonly #llm: LLM
  readonly #deadlineMs: number
  #question: Promise<boolean> | undefined

  constructor(llm: LLM, deadlineMs: number) {
    this.#llm = llm
    this.#deadlineMs = deadlineMs
  }

  /** Handler of the health routes. */
  async answer(reply: FastifyReply): Promise<FastifyReply> {
    if (await this.#alive()) return reply.code(200).send()
    return sendJson(reply.code(unhealthy.status), JSON.stringify(unhealthy.body))
  }

  #alive(): Promise<boolean> {
    this.#question ??= this.#ask()
    const question = this.#question
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), this.#deadlineMs)
      question.then((alive) => {
        clearTimeout(timer)
        resolve(alive)
      })
    })
  }

  async #ask(): Promise<boolean> {
    try {
      await this.#llm.stats()
      return true
    } catch {
      return false
    } finally {
      this.#question = undefined
    }
  }
}
