import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoquentError } from '../base/errors.ts'
import type { Instruction, Program } from '../graph/program.ts'
import { type Frame, type FrameField, frameFields } from '../ops/frame.ts'
import { type OpName, opShape } from '../ops/table.ts'
import { type Bench, openBench } from './conformance/bench.ts'
import { Random } from './conformance/random.ts'
import { blocksFor, fillStep, makeWorld, type World } from './conformance/schedule.ts'
import { fillSamples, smallModel, VOCABULARY } from './conformance/small-model.ts'
import type { Arenas, Backend } from './contract.ts'
import { openReferenceBackend } from './reference/backend.ts'
import { verifying } from './verify.ts'

const lengths = [5, 3]
const total = 8

/** What goes wrong after an instruction: one number of its output, in memory or in the frame, or the cache. */
function corrupt({ op, places }: Instruction, arenas: Arenas, frame: Frame): void {
  const output = Object.entries(opShape(op).operands).find(([, o]) => o.kind === 'output')?.[0]
  if (output) {
    const { offset, stride, column } = places[output]!
    const values = new Float32Array(arenas.activations.buffer, offset)
    values[2 * stride + column + 1]! = Number.isFinite(values[2 * stride + column + 1]!) ? Number.NaN : 1
  } else if (op === 'writeKv') {
    new Float32Array(arenas.cache.buffer).fill(1)
  } else {
    const field: FrameField = op === 'choose' ? 'chosenLogprobs' : 'topIds'
    frame[field][0]! += 1
  }
}

/** A backend that gets one op wrong. */
function failing(op: OpName): Backend {
  const real = openReferenceBackend()
  let compiled: { program: Program; arenas: Arenas }
  return {
    ...real,
    compile(program, arenas) {
      compiled = { program, arenas }
      return real.compile(program, arenas)
    },
    async run(plan, frame) {
      const stats = await real.run(plan, frame)
      corrupt(compiled.program.instructions.find((i) => i.op === op)!, compiled.arenas, frame)
      return stats
    },
  }
}

async function openModel(backend: Backend, reuse = false): Promise<{ bench: Bench; world: World }> {
  const random = new Random(5)
  const blocks = blocksFor(lengths, backend.traits.blockSize)
  const limits = { tokens: total, samples: total, sequences: 2, context: 80, blocks }
  const bench = await openBench(backend, random, {
    limits: { ...limits, vocabulary: VOCABULARY, topTokens: 4 },
    reuse,
    build: (b) => smallModel(b, total, 'f32'),
  })
  return { bench, world: makeWorld(random, lengths, bench.limits) }
}

/** Two steps, so that the second reads what the first left in the cache. */
async function runTwice({ bench, world }: Awaited<ReturnType<typeof openModel>>): Promise<void> {
  for (const [start, count] of [
    [0, 3],
    [3, 2],
  ] as const) {
    const step = [{ sequence: 0, start, count }, ...(start === 0 ? [{ sequence: 1, start: 0, count: 3 }] : [])]
    fillSamples(bench, fillStep(bench.frame, bench.limits, world, step))
    await bench.run()
  }
}

test('a sound backend passes', async () => {
  await runTwice(await openModel(verifying(openReferenceBackend())))
})

test('whichever op goes wrong is named, with the place and both values', async () => {
  const { bench } = await openModel(openReferenceBackend())
  for (const op of new Set(bench.program.instructions.map((i) => i.op))) {
    const model = await openModel(verifying(failing(op)))
    const index = bench.program.instructions.findIndex((i) => i.op === op)
    await assert.rejects(runTwice(model), (error) => {
      assert.ok(error instanceof LoquentError, String(error))
      assert.equal(error.code, 'backend.failed')
      // A cache gone wrong shows in what reads it.
      assert.equal(error.facts['op'], op === 'writeKv' ? 'attention' : op)
      if (op !== 'writeKv') assert.equal(error.facts['instruction'], index)
      assert.match(error.message, /instruction \d+ \(\w+ \S+\): \w+\[row \d+, column \d+\] is .+ where the reference/)
      return true
    })
  }
})

test('a program whose values share memory is refused', async () => {
  await assert.rejects(openModel(verifying(openReferenceBackend()), true), /reuse: false/)
})

test('every frame field that a step writes is one that a verified step looks at', () => {
  const written = Object.entries(frameFields).flatMap(([name, { doc }]) => (doc.startsWith('out:') ? [name] : []))
  assert.deepEqual(written, ['chosen', 'chosenLogprobs', 'sampleStatus', 'topCounts', 'topIds', 'topLogprobs'])
})
