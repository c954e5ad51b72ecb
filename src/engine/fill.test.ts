import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blocksPerSequence } from '../ops/domain.ts'
import { createFrame, type Frame, type FrameField } from '../ops/frame.ts'
import { fillFrame } from './fill.ts'
import { Sequence } from './sequence.ts'
import type { Slice, Step } from './step.ts'
import { smallLimits, specOf } from './testing/simulation.ts'

const limits = smallLimits({ tokens: 16, sequences: 4, samples: 8, context: 12, blockSize: 4 })

function sequenceOf(row: number, table: readonly number[], computed: number, change: Parameters<typeof specOf>[0]) {
  const sequence = new Sequence(row, specOf(change))
  sequence.row = row
  sequence.table.push(...table)
  sequence.computed = computed
  return sequence
}

function stepOf(slices: readonly Slice[]): Step {
  const sum = (of: (s: Slice) => number) => slices.reduce((a, s) => a + of(s), 0)
  return { slices, tokens: sum((s) => s.count), samples: sum((s) => s.samples) }
}

const slice = (sequence: Sequence, count: number, samples: number): Slice => ({
  sequence,
  start: sequence.computed,
  count,
  samples,
})

/** A decode, a chunk in the middle of a prompt, and a scored end of a prompt, in this order. */
function example() {
  const decode = sequenceOf(2, [7, 3], 4, {
    promptIds: [10, 11, 12],
    topTokens: 3,
    sampling: {
      sampling: true,
      seed: 0x2345_6789_abcd_ef01n,
      temperature: 0.5,
      topK: 9,
      topP: 0.75,
      typicalP: 0.25,
      repetitionPenalty: 1.5,
      frequencyPenalty: 0.125,
    },
  })
  decode.ids.push(13, 14)
  const chunk = sequenceOf(0, [5], 1, { promptIds: [20, 21, 22, 23, 24, 25] })
  const scored = sequenceOf(3, [9, 1], 3, { promptIds: [30, 31, 32, 33, 34], promptLogprobs: true, topTokens: 2 })
  return { decode, chunk, scored, step: stepOf([slice(decode, 1, 1), slice(chunk, 2, 0), slice(scored, 2, 2)]) }
}

const first = (frame: Frame, field: FrameField, n: number) => [...frame[field].subarray(0, n)]

test('every field of the frame says what the step holds', () => {
  const { step } = example()
  const frame = createFrame(limits)
  fillFrame(frame, step)
  assert.deepEqual(first(frame, 'counts', 3), [5, 3, 3])
  const perToken = {
    tokenIds: [14, 21, 22, 33, 34],
    positions: [4, 1, 2, 3, 4],
    ropeLengths: [5, 6, 6, 5, 5],
    slots: [12, 21, 22, 39, 4],
    tokenSequences: [0, 1, 1, 2, 2],
  }
  const perSequence = { queryStarts: [0, 1, 3, 5], contextLengths: [5, 3, 5] }
  const perSample = {
    sampleRows: [0, 3, 4],
    sampleHistory: [2, 3, 3],
    sampleLengths: [5, 4, 5],
    sampleTargets: [-1, 34, -1],
    sampleSeedLow: [0xabcdef01, 0, 0],
    sampleSeedHigh: [0x23456789, 0, 0],
    sampling: [1, 0, 0],
    temperature: [0.5, 1, 1],
    topK: [9, 0, 0],
    topP: [0.75, 1, 1],
    typicalP: [0.25, 1, 1],
    repetitionPenalty: [1.5, 1, 1],
    frequencyPenalty: [0.125, 0, 0],
    sampleMasks: [-1, -1, -1],
    topTokens: [3, 0, 2],
  }
  for (const [field, expected] of Object.entries({ ...perToken, ...perSequence, ...perSample })) {
    assert.deepEqual(first(frame, field as FrameField, expected.length), expected, field)
  }
  const width = blocksPerSequence(limits)
  assert.deepEqual([...frame.blockTables.subarray(0, 3 * width)], [7, 3, 0, 5, 0, 0, 9, 1, 0])
})

test('the history of a sequence is written once and grows with it', () => {
  const { decode, chunk, step } = example()
  const frame = createFrame(limits)
  fillFrame(frame, step)
  const history = (row: number, n: number) => [
    ...frame.history.subarray(row * limits.context, row * limits.context + n),
  ]
  assert.deepEqual(history(2, 6), [10, 11, 12, 13, 14, 0])
  assert.deepEqual(history(0, 6), chunk.ids)
  frame.history[2 * limits.context] = 99
  decode.computed = 5
  decode.ids.push(15)
  fillFrame(frame, stepOf([slice(decode, 1, 1)]))
  assert.deepEqual(history(2, 6), [99, 11, 12, 13, 14, 15], 'ids already there are written again')
  decode.rewind()
  decode.row = 1
  decode.table.push(4, 6)
  fillFrame(frame, stepOf([slice(decode, 6, 1)]))
  assert.deepEqual(history(1, 6), decode.ids)
})

test('a recomputed sequence sees the rope lengths it was first computed with', () => {
  const sequence = sequenceOf(0, [0, 1], 0, { promptIds: [1, 2, 3] })
  sequence.ids.push(4, 5)
  const frame = createFrame(limits)
  fillFrame(frame, stepOf([slice(sequence, 5, 1)]))
  assert.deepEqual(first(frame, 'ropeLengths', 5), [3, 3, 3, 4, 5])
})

test('nothing outside the rows in use is touched', () => {
  const frame = createFrame(limits)
  new Uint8Array(frame.buffer).fill(0x5a)
  const before = createFrame(limits)
  new Uint8Array(before.buffer).fill(0x5a)
  const { step } = example()
  fillFrame(frame, step)
  const rows: Partial<Record<FrameField, number>> = { counts: 3, queryStarts: 4, contextLengths: 3 }
  for (const field of ['tokenIds', 'positions', 'slots', 'sampleRows', 'temperature', 'topTokens', 'chosen'] as const) {
    rows[field] = field.startsWith('sample') || field === 'temperature' || field === 'topTokens' ? 3 : 5
  }
  rows.chosen = 0
  for (const [field, n] of Object.entries(rows)) {
    const name = field as FrameField
    assert.deepEqual(frame[name].subarray(n), before[name].subarray(n), field)
  }
})
