import type { FastifyInstance } from 'fastify'
import type { LLM } from '../library/index.ts'

/** After the time to finish is over: how long clients may take to hear so. */
const lastWordsMs = 2_000

interface DrainOptions {
  readonly why: string
  /** How long what is open may take to finish. */
  readonly timeoutMs: number
}

/** Stops accepting, lets what is open finish, and after `timeoutMs` tells the rest and ends it. Leaves nothing behind. */
export async function drain(app: FastifyInstance, llm: LLM, { why, timeoutMs }: DrainOptions): Promise<void> {
  app.log.info(`${why}: finishing open requests`)
  const late = setTimeout(async () => {
    app.log.warn(`requests are still open after ${timeoutMs / 1000} s: they are ended`)
    setTimeout(() => process.exit(), lastWordsMs).unref()
    await llm.close()
  }, timeoutMs)
  await app.close()
  clearTimeout(late)
  await llm.close()
}
