import { blocksPerSequence } from '../ops/domain.ts'
import type { Frame } from '../ops/frame.ts'
import { ropeLength, type Sequence } from './sequence.ts'
import type { Slice, Step } from './step.ts'

/** Writes a step into the frame: every input field, for the rows in use. Allocates nothing. */
export function fillFrame(frame: Frame, step: Step): void {
  const { slices } = step
  let token = 0
  let sample = 0
  for (let i = 0; i < slices.length; i++) {
    const slice = slices[i]
    frame.queryStarts[i] = token
    frame.contextLengths[i] = slice.start + slice.count
    fillTokens(frame, slice, i, token)
    fillTable(frame, slice, i)
    fillHistory(frame, slice.sequence)
    fillSamples(frame, slice, token + slice.count - slice.samples, sample)
    token += slice.count
    sample += slice.samples
  }
  frame.queryStarts[slices.length] = token
  frame.counts[0] = token
  frame.counts[1] = slices.length
  frame.counts[2] = sample
}

function fillTokens(frame: Frame, slice: Slice, index: number, row: number): void {
  const { ids, table, promptLength } = slice.sequence
  const { blockSize } = frame.limits
  for (let i = 0; i < slice.count; i++) {
    const position = slice.start + i
    frame.tokenIds[row + i] = ids[position]
    frame.positions[row + i] = position
    frame.ropeLengths[row + i] = ropeLength(promptLength, position)
    frame.slots[row + i] = table[Math.floor(position / blockSize)] * blockSize + (position % blockSize)
    frame.tokenSequences[row + i] = index
  }
}

function fillTable(frame: Frame, slice: Slice, index: number): void {
  const { table } = slice.sequence
  const base = index * blocksPerSequence(frame.limits)
  for (let i = 0; i < table.length; i++) frame.blockTables[base + i] = table[i]
}

/** The row stays with the sequence while it runs, so that each step adds only what is new. */
function fillHistory(frame: Frame, sequence: Sequence): void {
  const base = sequence.row * frame.limits.context
  for (; sequence.written < sequence.length; sequence.written++) {
    frame.history[base + sequence.written] = sequence.ids[sequence.written]
  }
}

/** Rows `[token, token + samples)` give logits: all score the token that follows, but the last of a sequence chooses. */
function fillSamples(frame: Frame, slice: Slice, token: number, sample: number): void {
  const { sequence, samples } = slice
  for (let i = 0; i < samples; i++) {
    const length = slice.start + slice.count - samples + i + 1
    const row = sample + i
    const target = length < sequence.length ? sequence.ids[length] : -1
    frame.sampleRows[row] = token + i
    frame.sampleHistory[row] = sequence.row
    frame.sampleLengths[row] = length
    frame.sampleTargets[row] = target
    frame.sampleMasks[row] = -1
    frame.topTokens[row] = target < 0 ? sequence.spec.topTokens : 0
    fillSampling(frame, sequence, row)
  }
}

function fillSampling(frame: Frame, sequence: Sequence, row: number): void {
  const { sampling } = sequence.spec
  frame.sampleSeedLow[row] = sequence.seedLow
  frame.sampleSeedHigh[row] = sequence.seedHigh
  frame.sampling[row] = sampling.sampling ? 1 : 0
  frame.temperature[row] = sampling.temperature
  frame.topK[row] = sampling.topK
  frame.topP[row] = sampling.topP
  frame.typicalP[row] = sampling.typicalP
  frame.repetitionPenalty[row] = sampling.repetitionPenalty
  frame.frequencyPenalty[row] = sampling.frequencyPenalty
  frame.watermarkGamma[row] = sampling.watermark?.gamma ?? 0
  frame.watermarkDelta[row] = sampling.watermark?.delta ?? 0
}
