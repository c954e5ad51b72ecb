/**
 * Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four random
 * words for a counter and a key, with no state. A draw is named by seed and position alone, so it is the same in any batch.
 */
export type Words4 = readonly [number, number, number, number]

const MULTIPLIER_0 = 0xd2511f53
const MULTIPLIER_1 = 0xcd9e8d57
const WEYL_0 = 0x9e3779b9
const WEYL_1 = 0xbb67ae85
const ROUNDS = 10

/** High and low words of the product of two unsigned words. */
function multiply(a: number, b: number): readonly [number, number] {
  const low = (a & 0xffff) * b
  // Exact: (a >>> 16) * b < 2^48, and the carried part is below 2^32.
  const high = (a >>> 16) * b + Math.floor(low / 0x10000)
  return [Math.floor(high / 0x10000), Math.imul(a, b) >>> 0]
}

export function philox(counter: Words4, keyLow: number, keyHigh: number): Words4 {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = [keyLow >>> 0, keyHigh >>> 0]
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = multiply(MULTIPLIER_0, c0)
    const [high1, low1] = multiply(MULTIPLIER_1, c2)
    ;[c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0]
    k0 = (k0 + WEYL_0) >>> 0
    k1 = (k1 + WEYL_1) >>> 0
  }
  return [c0, c1, c2, c3]
}

/** The draw of a sequence of `length` tokens: a double in [0, 1) of 53 random bits. */
export function uniform(seedLow: number, seedHigh: number, length: number): number {
  const [r0, r1] = philox([length >>> 0, 0, 0, 0], seedLow, seedHigh)
  return (r0 * 2 ** 21 + (r1 >>> 11)) / 2 ** 53
}
