/** Numbers in [0, 1) that a seed decides (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Whole numbers in [low, high], all equally likely. */
export const between = (random, [low, high]) => low + Math.floor(random() * (high - low + 1))

/** Time to the next arrival where `rate` a second arrive independently of each other. */
export const exponentialMs = (random, rate) => (-1000 * Math.log(1 - random())) / rate
