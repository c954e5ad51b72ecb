/** Multiplier of the previous token in the seed of its green list (Kirchenbauer et al., 2023; TGI's constant). */
export const watermarkHashKey = 15485863

const N = 624
const M = 397

/** MT19937 (Matsumoto and Nishimura, 1998): the generator behind torch's permutations on a CPU. */
function mersenneTwister(seed: number): () => number {
  const state = new Uint32Array(N)
  state[0] = seed
  for (let i = 1; i < N; i++) {
    const before = state[i - 1] ^ (state[i - 1] >>> 30)
    state[i] = Math.imul(1812433253, before) + i
  }
  let index = N
  const refill = () => {
    for (let i = 0; i < N; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff)
      state[i] = state[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
    }
    index = 0
  }
  return () => {
    if (index >= N) refill()
    let y = state[index++]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }
}

/**
 * Ids that a watermark favours after token `previous`: the first `vocabulary * gamma` of the permutation that
 * `torch.randperm` draws on a CPU from the seed `watermarkHashKey * previous`. In the order of the permutation.
 */
export function greenList(previous: number, vocabulary: number, gamma: number): Int32Array {
  const next = mersenneTwister(Number(BigInt.asUintN(32, BigInt(watermarkHashKey) * BigInt(previous))))
  const ids = Int32Array.from({ length: vocabulary }, (_, i) => i)
  const count = Math.floor(Math.fround(gamma) * vocabulary)
  for (let i = 0; i < Math.min(count, vocabulary - 1); i++) {
    const other = i + (next() % (vocabulary - i))
    const id = ids[i]
    ids[i] = ids[other]
    ids[other] = id
  }
  return ids.subarray(0, count)
}
