import { blocksPerSequence, type Limits, maskWords } from './domain.ts'

interface FieldShape {
  readonly type: 'i32' | 'u32' | 'f32'
  readonly length: (l: Limits) => number
  readonly doc: string
}

const field = (type: FieldShape['type'], length: (l: Limits) => number, doc: string): FieldShape => ({
  type,
  length,
  doc,
})
const perToken = (l: Limits) => l.tokens
const perSequence = (l: Limits) => l.sequences
const perSample = (l: Limits) => l.samples

/** Everything a step reads and writes besides weights, KV and activations. Order is layout; append at the end. */
export const frameFields = {
  counts: field('i32', () => 8, 'rows in use: [tokens, sequences, samples]; the rest is reserved'),
  tokenIds: field('i32', perToken, 'token id'),
  positions: field('i32', perToken, 'absolute position in its sequence'),
  ropeLengths: field(
    'i32',
    perToken,
    'length that length-dependent rope scaling sees: prompt length, or position + 1 once generated',
  ),
  slots: field('i32', perToken, 'KV slot to write: block * blockSize + offset'),
  tokenSequences: field('i32', perToken, 'index of its sequence in this step'),
  queryStarts: field(
    'i32',
    (l) => l.sequences + 1,
    'first token row of each sequence; one past the last closes the list',
  ),
  contextLengths: field('i32', perSequence, 'keys visible to the last token of the sequence: cached + this step'),
  blockTables: field(
    'i32',
    (l) => l.sequences * blocksPerSequence(l),
    'KV block of each stretch of blockSize positions',
  ),
  sampleRows: field('i32', perSample, 'token row whose hidden state makes these logits'),
  sampleHistory: field('i32', perSample, 'row of `history` that holds its sequence'),
  sampleLengths: field('i32', perSample, 'tokens in that history; also the counter of the random draw'),
  sampleTargets: field('i32', perSample, 'token to score on raw logits instead of choosing one; -1 to choose'),
  sampleSeedLow: field('u32', perSample, 'seed, low word'),
  sampleSeedHigh: field('u32', perSample, 'seed, high word'),
  sampling: field('i32', perSample, '1: draw; 0: take the greatest'),
  temperature: field('f32', perSample, 'logits are divided by it; 1 is off'),
  topK: field('i32', perSample, 'keep the k greatest, ties with the k-th included; 0 is off'),
  topP: field('f32', perSample, 'keep the smallest set of at least this mass; 1 is off'),
  typicalP: field('f32', perSample, 'locally typical mass; 1 is off'),
  repetitionPenalty: field(
    'f32',
    perSample,
    'divides positive and multiplies negative logits of ids in the history; 1 is off',
  ),
  frequencyPenalty: field('f32', perSample, 'times count(id) / length(history), subtracted; 0 is off'),
  sampleMasks: field('i32', perSample, 'row of `masks`; -1 for none'),
  topTokens: field('i32', perSample, 'alternatives wanted; 0 for none'),
  masks: field('u32', (l) => l.masks * maskWords(l), 'token masks: bit set, token allowed'),
  history: field(
    'i32',
    (l) => l.sequences * l.context,
    'token ids so far, a row a running sequence; kept between steps',
  ),
  chosen: field('i32', perSample, 'out: token id chosen (or the target)'),
  chosenLogprobs: field('f32', perSample, 'out: its log-probability after all processors (raw for a target)'),
  sampleStatus: field('i32', perSample, 'out: 0 ok, 1 the logits were not finite'),
  topCounts: field('i32', perSample, 'out: alternatives written'),
  topIds: field('i32', (l) => l.samples * l.topTokens, 'out: their ids, likeliest first, ties by ascending id'),
  topLogprobs: field('f32', (l) => l.samples * l.topTokens, 'out: their log-probabilities'),
  watermarkGamma: field('f32', perSample, 'share of the vocabulary that a watermark favours'),
  watermarkDelta: field('f32', perSample, 'added to the logits of its green list; 0 is off'),
} as const satisfies Record<string, FieldShape>

export type FrameField = keyof typeof frameFields

interface ArrayOf {
  i32: Int32Array
  u32: Uint32Array
  f32: Float32Array
}

/** Typed views, one per field, over one buffer that native code reads in place. */
export type FrameViews = { readonly [F in FrameField]: ArrayOf[(typeof frameFields)[F]['type']] }

export interface Frame extends FrameViews {
  readonly limits: Limits
  readonly buffer: ArrayBuffer
}

/** Byte offset of every field, each on a 64-byte line, and the size of the whole. */
export function frameLayout(limits: Limits): {
  readonly bytes: number
  readonly offsets: Readonly<Record<FrameField, number>>
} {
  let bytes = 0
  const offsets = {} as Record<FrameField, number>
  for (const [name, shape] of Object.entries(frameFields)) {
    offsets[name as FrameField] = bytes
    bytes += Math.ceil((shape.length(limits) * 4) / 64) * 64
  }
  return { bytes, offsets }
}

const constructors = { i32: Int32Array, u32: Uint32Array, f32: Float32Array }

/** Allocates a frame; done once per engine, never in a step. */
export function createFrame(limits: Limits): Frame {
  const { bytes, offsets } = frameLayout(limits)
  const buffer = new ArrayBuffer(bytes)
  const views = Object.entries(frameFields).map(([name, shape]) => [
    name,
    new constructors[shape.type](buffer, offsets[name as FrameField], shape.length(limits)),
  ])
  return { limits, buffer, ...(Object.fromEntries(views) as FrameViews) }
}
