/** Most restarts within the window; a request that was found guilty takes those it explains with it. */
export const maxRestarts = 16
export const restartWindowMs = 300_000

/** The first restart is at once; then the wait doubles from here to there. */
const firstWaitMs = 50
const longestWaitMs = 5_000

/** Bounds how often a dying engine is started again, and how fast. Pure. */
export class Restarts {
  #times: number[] = []
  /** All of them, ever. */
  total = 0

  /** Milliseconds to wait before the next restart; undefined when there were too many. */
  next(now: number): number | undefined {
    this.#times = this.#times.filter((time) => now - time < restartWindowMs)
    const recent = this.#times.length
    if (recent >= maxRestarts) return undefined
    this.#times.push(now)
    this.total++
    return recent === 0 ? 0 : Math.min(longestWaitMs, firstWaitMs * 2 ** (recent - 1))
  }

  /** The cause is known and gone. */
  forgive(): void {
    this.#times = []
  }
}
