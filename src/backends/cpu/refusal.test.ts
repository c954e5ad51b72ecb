import assert from 'node:assert/strict'
import { after, test as nodeTest } from 'node:test'
import { createFrame, type Frame } from '../../ops/frame.ts'
import { cacheWords, fieldNames, limitNames, programWords } from '../../ops/header.ts'
import { openBench } from '../conformance/bench.ts'
import { neutralFrame } from '../conformance/loaded.ts'
import { Random } from '../conformance/random.ts'
import { fillStep, makeWorld } from '../conformance/schedule.ts'
import { fillSamples, smallModel, VOCABULARY } from '../conformance/small-model.ts'
import type { Addon } from './addon.ts'
import { openCpuBackend } from './backend.ts'
import { encodeProgram } from './encode.ts'
import { findAddon } from './testing/find-addon.ts'

const { addon: built, skip } = findAddon()
const test = (name: string, body: () => Promise<void> | void) => nodeTest(name, { skip }, body)

// Straight to the addon: what native code is handed here, no backend would make.
async function prepare(addon: Addon) {
  const device = addon.open(2, '')
  const backend = openCpuBackend({ threads: 1 })
  after(() => {
    addon.close(device)
    backend.close()
  })
  const bench = await openBench(backend, new Random(5), {
    limits: {
      tokens: total,
      samples: total,
      sequences: 2,
      context: 48,
      blocks: 8,
      vocabulary: VOCABULARY,
      topTokens: 4,
    },
    build: (b) => smallModel(b, total, 'q8_0'),
  })
  const { program } = bench
  const arenas = [program.arenas.weights, program.arenas.activations, program.arenas.cache].map(
    (bytes) => addon.reserve(device, Math.ceil(bytes / 64) * 64).handle,
  ) as [never, never, never]
  const compile = (w: Int32Array) => addon.compile(device, w, ...arenas)
  return { addon, device, bench, program, words: encodeProgram(program), compile }
}

const total = 24
// Without an addon every test is skipped, and nothing of this is looked at.
const ready = built && (await prepare(built))
const { addon, device, bench, program, words, compile } = ready ?? ({} as Awaited<ReturnType<typeof prepare>>)

function filledFrame(): Frame {
  const frame = neutralFrame(program.limits)
  const world = makeWorld(new Random(6), [14, 10], program.limits)
  const rows = fillStep(frame, program.limits, world, [
    { sequence: 0, start: 0, count: 14 },
    { sequence: 1, start: 0, count: 10 },
  ])
  fillSamples({ ...bench, frame }, rows)
  return frame
}

const changed = (at: number, value: number): Int32Array => {
  const copy = words.slice()
  copy[at] = value
  return copy
}

const firstRecord = programWords.length + limitNames.length + fieldNames.length + cacheWords.length

test('a program that is cut, foreign or of another table is refused', () => {
  compile(words)
  assert.throws(() => compile(words.slice(0, 5)), /cut short/)
  assert.throws(() => compile(words.slice(0, -1)), /cut short/)
  assert.throws(() => compile(changed(0, 1)), /not an encoded program/)
  assert.throws(() => compile(changed(1, words[1]! + 1)), /another op table; build it again/)
  assert.throws(() => compile(changed(firstRecord, 99)), /unknown op 99/)
  assert.throws(() => compile(changed(firstRecord + 1, 3)), /wrong length/)
})

test('a program that would leave its memory is refused', () => {
  const [weights, , , frame] = ['weightLines', 'activationLines', 'cacheLines', 'frameLines'].map((n) =>
    programWords.indexOf(n as (typeof programWords)[number]),
  )
  assert.throws(() => compile(changed(weights!, words[weights!]! + 1)), /weights arena is too small/)
  assert.throws(() => compile(changed(frame!, 1)), /frame field is too small/)
  const tokens = programWords.length + limitNames.indexOf('tokens')
  assert.throws(() => compile(changed(tokens, 1 << 20)), /too small|leaves its arena/)
})

test('handles of another kind, and a short frame, are refused', () => {
  const plan = compile(words)
  assert.throws(() => addon.run(plan as never, device as never, new ArrayBuffer(64)), /handle of another kind/)
  assert.throws(() => addon.run({} as never, plan, new ArrayBuffer(64)), /handle of another kind/)
  assert.throws(() => addon.run(device, plan, new ArrayBuffer(64)), /frame is smaller/)
  assert.throws(() => addon.run(device, plan, new Uint8Array(64) as never), /ArrayBuffer was expected/)
})

test('a frame whose indices lead outside is refused before anything runs', async () => {
  const plan = compile(words)
  const refused = async (change: (f: Frame) => void, message: RegExp) => {
    const frame = filledFrame()
    change(frame)
    await assert.rejects(addon.run(device, plan, frame.buffer), message)
  }
  await addon.run(device, plan, filledFrame().buffer)
  await refused((f) => f.counts.set([total + 1]), /counts/)
  await refused((f) => f.tokenIds.set([total], 3), /token id/)
  await refused((f) => f.positions.set([48], 3), /position/)
  await refused((f) => f.slots.set([-1], 3), /slot/)
  await refused((f) => f.blockTables.set([8]), /block table/)
  await refused((f) => f.queryStarts.set([2]), /query ranges/)
  await refused((f) => f.sampleRows.set([total]), /sample row/)
  await refused((f) => f.sampleHistory.set([2]), /history row/)
  await refused((f) => f.sampleLengths.set([49]), /history length/)
  await refused((f) => f.sampleTargets.set([VOCABULARY]), /target/)
  await refused((f) => f.sampleMasks.set([1]), /mask/)
})

test('a step of nothing is a step', async () => {
  await addon.run(device, compile(words), createFrame(program.limits).buffer)
})

test('a program damaged anywhere is refused, or runs inside its memory', async () => {
  const random = new Random(7)
  const values = [-1, 0, 1, 2, 3, 7, 63, 255, 256, 1 << 16, 0x7fffffff, -0x80000000]
  const frame = filledFrame()
  let refusals = 0
  for (let i = 0; i < 2000; i++) {
    const at = random.int(programWords.length, words.length - 1)
    const value = random.int(0, 3) === 0 ? words[at]! + random.int(-2, 2) : values[random.int(0, values.length - 1)]!
    try {
      await addon.run(device, compile(changed(at, value)), frame.buffer)
    } catch (error) {
      assert.match((error as Error).message, /refused/)
      refusals++
    }
  }
  assert.ok(refusals > 500, `only ${refusals} refusals`)
})
