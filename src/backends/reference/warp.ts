import { type Matrix, rowOf, type Step } from './operand.ts'
import { logProbability, massOf } from './softmax.ts'

const removed = Number.NEGATIVE_INFINITY

/** Keeps the k greatest and whatever equals the k-th. */
export function keepTopK(logits: Float32Array, k: number): void {
  if (k <= 0 || k >= logits.length) return
  const threshold = logits.slice().sort()[logits.length - k]!
  for (let id = 0; id < logits.length; id++) if (logits[id]! < threshold) logits[id] = removed
}

/**
 * From the least likely up, equal ones by ascending id, removes tokens while their cumulative mass is at most 1 - p;
 * the last always stays.
 */
export function keepTopP(logits: Float32Array, p: number): void {
  const mass = massOf(logits)
  if (p >= 1 || !mass) return
  const ids = Uint32Array.from(logits, (_, i) => i).sort((a, b) => logits[a]! - logits[b]! || a - b)
  let cumulative = 0
  for (const id of ids.subarray(0, -1)) {
    cumulative += Math.exp(logits[id]! - mass.max)
    if (cumulative / mass.total > 1 - p) return
    logits[id] = removed
  }
}

/**
 * Locally typical sampling (Meister, Pimentel, Wiher and Cotterell 2022): keeps the tokens whose surprise is nearest
 * the row's entropy, until `m` of the mass is in; tokens as near as the last one, in float32, stay too.
 */
export function keepTypical(logits: Float32Array, m: number): void {
  const mass = massOf(logits)
  if (m >= 1 || !mass) return
  const logp = Float64Array.from(logits, (l) => logProbability(l, mass))
  let entropy = 0
  for (const l of logp) if (l !== removed) entropy -= Math.exp(l) * l
  const distance = Float32Array.from(logp, (l) => Math.abs(-l - entropy))
  const ids = Uint32Array.from(logits, (_, i) => i).sort((a, b) => distance[a]! - distance[b]! || a - b)
  let last = 0
  for (let c = Math.exp(logp[ids[0]!]!); c < m && last < ids.length - 1; ) c += Math.exp(logp[ids[++last]!]!)
  const threshold = distance[ids[last]!]!
  for (let id = 0; id < logits.length; id++) if (distance[id]! > threshold) logits[id] = removed
}

export function warp(o: { logits: Matrix; out: Matrix }, _a: object, step: Step, from: number, to: number): void {
  const { frame } = step
  for (let s = from; s < to; s++) {
    const out = rowOf(o.out, s)
    out.set(rowOf(o.logits, s))
    // A row that is no distribution is left for `choose` to report.
    if (frame.sampleTargets[s]! >= 0 || !massOf(out)) continue
    const temperature = frame.temperature[s]!
    if (temperature !== 1) for (let id = 0; id < out.length; id++) out[id] = out[id]! / temperature
    keepTopK(out, frame.topK[s]!)
    keepTopP(out, frame.topP[s]!)
    keepTypical(out, frame.typicalP[s]!)
  }
}
