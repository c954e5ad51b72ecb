import { availableParallelism } from 'node:os'
import type { Backend } from '#dist/backends/contract.js'
import { openCpuBackend } from '#dist/backends/cpu/backend.js'
import type { KvFormat } from '#dist/tensor/kv-format.js'
import { benchAttention } from './attention-bench.ts'
import { benchLinears, type Measurement, multipliedFormats } from './linear-bench.ts'
import { numbers, readOptions, words } from './options.ts'
import { better, conditions, measureRoof, type Roof } from './roofline.ts'
import { benchRows } from './row-bench.ts'
import { benchSampling } from './sampling-bench.ts'
import { linearShapes, modelShapes } from './shapes.ts'
import { percent, printTable, short } from './table.ts'

const names = ['models', 'formats', 'rows', 'parts', 'contexts', 'sequences', 'vocabularies', 'kv'] as const
const given = readOptions(...names, 'rounds', 'threads', 'isa')
const threads = Number(given.threads ?? availableParallelism())
const rounds = Number(given.rounds ?? 7)
const rows = numbers(given.rows ?? '1,8,32,512')
const parts = words(given.parts ?? 'linear,attention,rows,sampling')
const models = modelShapes.filter((m) => !given.models || words(given.models).includes(m.name))

const kvFormats = (given.kv ? words(given.kv) : ['f32', 'bf16', 'int8']) as KvFormat[]

const open = (): Backend => openCpuBackend({ threads, ...(given.isa ? { isa: given.isa } : {}) })

/** Arithmetic that a weight format is held against: the quantized ones against BF16, as a dequantizing kernel would be. */
const peakOf = (format: string, roof: Roof): number =>
  (format === 'f32' || format.startsWith('kv') || roof.bf16.best === 0 ? roof.float32 : roof.bf16).best

/** Share of the limit: the time that reading the bytes or doing the arithmetic takes at least, over the best time taken. */
function shareOfLimit(m: Measurement, roof: Roof): number {
  const least = Math.max(m.bytes / (roof.read.best * 1e9), m.flops / (peakOf(m.format, roof) * 1e9))
  return least / m.best
}

function line(m: Measurement, roof: Roof): string[] {
  const read = m.bytes / (roof.read.best * 1e9)
  const bound = m.flops / (peakOf(m.format, roof) * 1e9) > read ? 'arithmetic' : 'memory'
  const limit = m.flops > 0 ? [percent(shareOfLimit(m, roof)), bound] : ['', '']
  const [ops, bytes] = [m.flops / m.best / 1e9, m.bytes / m.best / 1e9]
  const times = [m.seconds, m.best].map((s) => short(s * 1e6))
  return [m.model, m.format, m.op, `${m.rows}`, ...times, short(bytes), ops > 0 ? short(ops) : '', ...limit]
}

/** Steps with more rows are chunks of prompts, which the head does not see. */
const mostDecodeRows = 64

/** All matrix products of one step. */
function wholeStep(measured: readonly Measurement[]): Measurement[] {
  return rows.map((r) => {
    const own = measured.filter((m) => m.rows === r && (m.op !== 'head' || r <= mostDecodeRows))
    const sum = (f: (m: Measurement) => number) => own.reduce((total, m) => total + m.times * f(m), 0)
    const { model, format } = own[0]!
    const totals = {
      seconds: sum((m) => m.seconds),
      best: sum((m) => m.best),
      bytes: sum((m) => m.bytes),
      flops: sum((m) => m.flops),
    }
    return { model, format, op: 'all of a step', rows: r, times: 1, ...totals }
  })
}

async function measure(): Promise<Measurement[]> {
  const all: Measurement[] = []
  const note = (more: readonly Measurement[]) => {
    all.push(...more)
    // Shown as they come, too: a long run that is stopped has told what it knew.
    for (const m of more) process.stderr.write(`${line(m, roof).join('  ')}\n`)
  }
  for (const model of models) {
    if (parts.includes('linear')) {
      for (const format of formats) {
        const measured = await benchLinears(open, model, format, rows, rounds)
        // Not every shape is whole blocks of every format.
        const whole = measured.length === rows.length * linearShapes(model).length
        measureRoofAgain()
        note([...measured, ...(whole ? wholeStep(measured) : [])])
      }
    }
    const [contexts, sequences] = [numbers(given.contexts ?? '512,4096'), numbers(given.sequences ?? '1,8')]
    if (parts.includes('attention')) {
      for (const format of kvFormats) note(await benchAttention(open, model, format, contexts, sequences, rounds))
    }
    if (parts.includes('rows')) note(await benchRows(open, model, rows, rounds))
  }
  if (parts.includes('sampling')) {
    const vocabularies = numbers(given.vocabularies ?? '49152,151936')
    for (const v of vocabularies) note(await benchSampling(open, v, [1, 8, 32], rounds))
  }
  return all
}

function facts() {
  const backend = open()
  const able = multipliedFormats(backend)
  const wanted = given.formats && words(given.formats)
  const { detail } = backend.traits
  backend.close()
  return { isa: detail, formats: wanted ? able.filter((f) => wanted.includes(f)) : able }
}

const roofs: Roof[] = []
let roof = measureRoof(threads).at(-1)!

/** The machine is measured again and again: on a shared one the best of many is nearer to the truth. */
function measureRoofAgain(): void {
  const now = measureRoof(threads).at(-1)!
  roofs.push(now)
  roof = better(roof, now)
}

const { isa, formats } = facts()
const measured = await measure()
measureRoofAgain()
console.log(
  `${isa}, ${threads} threads; limit here: read ${short(roof.read.best)} GB/s, ` +
    `float32 ${short(roof.float32.best)} and bf16 ${short(roof.bf16.best)} GFLOP/s (best rounds)`,
)
const header = ['model', 'format', 'op', 'rows', 'us', 'best us', 'GB/s', 'GFLOP/s', 'of limit', 'bound by']
printTable(
  header,
  measured.map((m) => line(m, roof)),
)
const lines = measured.map((m) => ({ ...m, ofLimit: m.flops > 0 ? shareOfLimit(m, roof) : null }))
console.log(JSON.stringify({ bench: 'kernels', ...conditions(), isa, threads, rounds, roof, roofs, measured: lines }))
