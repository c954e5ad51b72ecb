import { errorData } from '../base/errors.ts'
import type { LLM } from '../library/types.ts'

/** How long a verdict counts: probes come more often than that cost nothing. */
export const verdictMs = 5_000

/**
 * Generates one token the way every request goes, and remembers whether that worked. There is never more than one under
 * way: in a full server it waits its turn like everybody, and whoever asks meanwhile does not wait for it.
 */
export class Canary {
  readonly #llm: LLM
  #verdict: boolean | undefined
  #at = Number.NEGATIVE_INFINITY
  #flight: Promise<boolean> | undefined

  constructor(llm: LLM) {
    this.#llm = llm
  }

  /** What the last one said, however old; undefined when there was none. */
  get last(): boolean | undefined {
    return this.#verdict
  }

  /** Whether one of the engine's requests is ours. */
  get flying(): boolean {
    return this.#flight !== undefined
  }

  /** What was said belongs to an engine that is gone. */
  forget(): void {
    this.#verdict = undefined
    this.#at = Number.NEGATIVE_INFINITY
  }

  /** A verdict not older than `verdictMs`. */
  ask(): Promise<boolean> {
    if (this.#verdict !== undefined && performance.now() - this.#at < verdictMs) return Promise.resolve(this.#verdict)
    this.#flight ??= this.#fly()
    return this.#flight
  }

  async #fly(): Promise<boolean> {
    this.#verdict = await this.#generate()
    this.#at = performance.now()
    this.#flight = undefined
    return this.#verdict
  }

  async #generate(): Promise<boolean> {
    try {
      const { generatedTokens } = await this.#llm.generate('a', { maxNewTokens: 1 })
      return generatedTokens === 1
    } catch (error) {
      // A full engine is a healthy one.
      return errorData(error).code === 'engine.overloaded'
    }
  }
}
