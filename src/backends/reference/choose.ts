import type { Frame } from '../../ops/frame.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'
import { uniform } from './philox.ts'
import { logProbability, type Mass, massOf } from './softmax.ts'

/** First id, in ascending order, whose cumulative mass exceeds `share` of the total. */
export function drawId(logits: Float32Array, m: Mass, share: number): number {
  let cumulative = 0
  let last = 0
  for (let id = 0; id < logits.length; id++) {
    const mass = Math.exp(logits[id]! - m.max)
    cumulative += mass
    if (cumulative > share * m.total) return id
    if (mass > 0) last = id
  }
  return last
}

function chooseId(logits: Float32Array, m: Mass, frame: Frame, s: number): number {
  if (frame.sampleTargets[s]! >= 0) return frame.sampleTargets[s]!
  if (frame.sampling[s] === 0) return logits.indexOf(m.max)
  return drawId(logits, m, uniform(frame.sampleSeedLow[s]!, frame.sampleSeedHigh[s]!, frame.sampleLengths[s]!))
}

export function choose(o: { logits: Matrix }, _a: object, step: Step, from: number, to: number): void {
  const { frame } = step
  for (let s = from; s < to; s++) {
    const logits = rowOf(o.logits, s)
    const mass = massOf(logits)
    const id = mass ? chooseId(logits, mass, frame, s) : 0
    frame.sampleStatus[s] = mass ? 0 : 1
    frame.chosen[s] = id
    frame.chosenLogprobs[s] = mass ? logProbability(logits[id]!, mass) : Number.NaN
  }
}
