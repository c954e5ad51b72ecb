import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Backend } from '../backends/contract.ts'
import { findAddon } from '../backends/cpu/testing/find-addon.ts'
import { openBackend } from '../backends/select.ts'
import { type Golden, GoldenModel, readGolden, type Stretch } from './golden.ts'

const goldens = fileURLToPath(new URL('../../test/goldens/llama', import.meta.url))
const cases = readdirSync(goldens)
const tolerance = 1e-4

const backends: [string, () => Backend][] = [
  ['reference', () => openBackend({ backend: 'reference' }).backend],
  ['cpu', () => openBackend({ backend: 'cpu', threads: 2 }).backend],
]

const { skip: withoutAddon } = findAddon()

for (const [name, open] of backends) {
  const skip = name === 'cpu' && withoutAddon
  describe(`Llama family against transformers, ${name}`, { skip }, () => {
    for (const folder of cases) goldenCase(open, join(goldens, folder), folder)
  })
}

function goldenCase(open: () => Backend, directory: string, folder: string): void {
  const golden = readGolden(readFileSync(join(directory, 'golden.safetensors')))
  const configs = ['config.json', 'config-old.json'].filter((f) => existsSync(join(directory, f)))
  for (const config of configs) {
    test(`${folder}, ${config}`, async () => {
      const model = await GoldenModel.load(open(), directory, config)
      try {
        await checkPrefill(model, golden)
        if (config === 'config.json') await checkDecodeAndMixtures(model, golden)
      } finally {
        model.close()
      }
    })
  }
}

/** Every sequence alone, the whole prompt in one step. */
async function checkPrefill(model: GoldenModel, golden: readonly Golden[]): Promise<void> {
  for (const g of golden) {
    const logits = await model.step([{ sequence: 0, ids: g.ids, start: 0, ropeLength: g.ids.length }])
    compare(logits, g.logits, g.ids.length, 'prefill')
    model.forget()
  }
}

async function checkDecodeAndMixtures(model: GoldenModel, golden: readonly Golden[]): Promise<void> {
  await checkTokenByToken(model, golden)
  await checkRagged(model, golden)
  await checkGreedy(model, golden)
}

async function checkTokenByToken(model: GoldenModel, golden: readonly Golden[]): Promise<void> {
  const longest = golden.reduce((a, b) => (b.ids.length > a.ids.length ? b : a))
  const rows: Float32Array[] = []
  for (let p = 0; p < longest.ids.length; p++) {
    rows.push(
      await model.step([{ sequence: 0, ids: longest.ids.slice(p, p + 1), start: p, ropeLength: longest.ids.length }]),
    )
  }
  compare(concatenated(rows), longest.logits, longest.ids.length, 'decode')
  model.forget()
}

/** All sequences together, each cut differently: decodes, chunks and whole prompts share steps. */
async function checkRagged(model: GoldenModel, golden: readonly Golden[]): Promise<void> {
  const done = golden.map(() => 0)
  const rows: Float32Array[][] = golden.map(() => [])
  for (let step = 0; done.some((d, i) => d < golden[i]!.ids.length); step++) {
    const batch = golden.flatMap(({ ids }, i): Stretch[] => {
      const size = [1, 3, 7, 64][(i + step) % 4]!
      if (done[i]! >= ids.length || (step < i && step < 3)) return []
      return [{ sequence: i, ids: ids.slice(done[i], done[i]! + size), start: done[i]!, ropeLength: ids.length }]
    })
    const logits = await model.step(batch)
    let row = 0
    for (const { sequence, ids } of batch) {
      rows[sequence]!.push(logits.slice(row * model.vocabulary, (row + ids.length) * model.vocabulary))
      row += ids.length
      done[sequence]! += ids.length
    }
  }
  golden.forEach((g, i) => {
    compare(concatenated(rows[i]!), g.logits, g.ids.length, `ragged, sequence ${i}`)
  })
  model.forget()
}

/** Greedy continuations (some end early, at the end-of-text id) of all sequences in one batch, through the sampling ops of the program. */
async function checkGreedy(model: GoldenModel, golden: readonly Golden[]): Promise<void> {
  const outputs: number[][] = golden.map(() => [])
  const prompts = golden.map((g, i) => ({ sequence: i, ids: g.ids, start: 0, ropeLength: g.ids.length }))
  let next = await model.choose(prompts)
  const longest = Math.max(...golden.map((g) => g.greedy.length))
  for (let n = 0; n < longest; n++) {
    next.forEach((id, i) => {
      outputs[i]!.push(id)
    })
    const batch = golden.map((g, i) => {
      const start = g.ids.length + n
      return { sequence: i, ids: [next[i]!], start, ropeLength: start + 1 }
    })
    next = await model.choose(batch)
  }
  golden.forEach((g, i) => {
    assert.deepEqual(outputs[i]!.slice(0, g.greedy.length), g.greedy, `greedy, sequence ${i}`)
  })
  model.forget()
}

function concatenated(rows: readonly Float32Array[]): Float32Array {
  return Float32Array.from(rows.flatMap((r) => [...r]))
}

/** Largest difference of a row over its largest logit, at most 1e-4. */
function compare(got: Float32Array, expected: Float32Array, rows: number, what: string): void {
  const width = expected.length / rows
  assert.equal(got.length, expected.length, what)
  for (let r = 0; r < rows; r++) {
    let difference = 0
    let largest = 0
    for (let c = r * width; c < (r + 1) * width; c++) {
      difference = Math.max(difference, Math.abs(got[c]! - expected[c]!) || (Number.isNaN(got[c]) ? Infinity : 0))
      largest = Math.max(largest, Math.abs(expected[c]!))
    }
    assert.ok(difference <= tolerance * largest, `${what}, row ${r}: off by ${difference} of ${largest}`)
  }
}
