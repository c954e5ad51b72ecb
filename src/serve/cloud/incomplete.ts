import { answerOf } from '../errors.ts'
import { Refusal } from '../refusal.ts'

/** The adapters of clouds call a generation that failed incomplete, whatever was the matter; refusals keep their words. */
export async function orIncomplete<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const { body } = answerOf(error)
    const failed = body.error_type === 'generation' || body.error_type === 'incomplete_generation'
    throw failed ? new Refusal(500, 'Incomplete generation', 'Incomplete generation') : error
  }
}
