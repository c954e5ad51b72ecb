import type { Weight } from '../../graph/node.ts'
import { encodableEnd, encodedBlock, encodings, smallestBlock } from '../../ops/encoding.ts'
import { activations } from '../../ops/table.ts'
import { type FormatName, formats } from '../../tensor/format.ts'
import { type Build, openBench } from './bench.ts'
import { type Case, input, normalInput, rowCounts, runRows } from './case.ts'
import type { Random } from './random.ts'

const formatNames = Object.keys(formats) as FormatName[]

const blockOf = (format: FormatName): number => formats[format].elementsPerBlock

/** Columns: whole blocks of the format, or for unblocked formats any number, tiles of 16 and 64 just missed included. */
function columnsOf(format: FormatName, random: Random): number {
  const { elementsPerBlock } = formats[format]
  // Long enough that a kernel may walk k in several pieces.
  if (random.chance(0.1)) return elementsPerBlock === 1 ? random.int(2049, 4100) : 256 * random.int(9, 16)
  if (elementsPerBlock === 256) return 256 * random.int(1, 2)
  if (elementsPerBlock > 32) return elementsPerBlock * random.pick([1, 2, 3, 9])
  if (elementsPerBlock > 1) return elementsPerBlock * random.pick([1, 2, 3, 5, 18])
  return random.pick([1, 2, 3, 15, 16, 17, 63, 64, 65, 100, 127, 576, random.int(1, 700)])
}

const outputs = (random: Random): number => random.pick([1, 2, 3, 15, 16, 17, 63, 64, 65, 96, 130, random.int(1, 200)])

/** A weight of one or several tensors under one another. */
function stacked(
  { g, checkpoint, random }: Build,
  name: string,
  format: FormatName,
  rows: number,
  columns: number,
): Weight {
  const cut = rows > 1 && random.chance(0.3) ? random.int(1, rows - 1) : rows
  checkpoint.add(`${name}.0`, format, cut, columns)
  if (cut === rows) return g.weight(`${name}.0`, rows, columns)
  checkpoint.add(`${name}.1`, format, rows - cut, columns)
  return { kind: 'weight', rows, columns, tensors: [`${name}.0`, `${name}.1`] }
}

function linearCase(format: FormatName, wanted?: FormatName): Case {
  return {
    name: `linear, weights stored as ${format}${wanted ? ` and wanted as ${wanted}` : ''}`,
    ops: ['linear', 'encode'],
    async run(backend, random) {
      const tokens = rowCounts(random)
      const coarser = wanted && blockOf(wanted) > blockOf(format) ? wanted : format
      const [rows, columns] = [outputs(random), columnsOf(coarser, random)]
      const bench = await openBench(backend, random, {
        limits: { tokens },
        ...(wanted && { wanted }),
        build: (b) => {
          const weight = stacked(b, 'weight', format, rows, columns)
          const x = normalInput(b, 'x', columns, random.pick([1, 1, 0.01, 20]))
          b.checkpoint.add('bias', random.pick(['f32', 'bf16']), 1, rows)
          const bias = random.chance(0.5) ? b.g.weight('bias', 1, rows) : undefined
          b.g.op('linear', 'linear', { x, weight, bias }, { activation: random.pick(activations) })
        },
      })
      await runRows(bench, random.int(1, tokens))
    },
  }
}

const gated: Case = {
  name: 'gatedLinear, every storage format',
  ops: ['gatedLinear'],
  async run(backend, random) {
    const tokens = rowCounts(random)
    const bench = await openBench(backend, random, {
      limits: { tokens },
      build: (b) => {
        for (const format of formatNames) {
          const [rows, columns] = [2 * outputs(random), columnsOf(format, random)]
          const weight = stacked(b, `${format}.weight`, format, rows, columns)
          const x = normalInput(b, `${format}.x`, columns, random.pick([1, 0.01]))
          const attributes = { activation: random.pick(activations) }
          const gated = b.g.op('gatedLinear', format, { x, weight }, attributes)['out']!
          // A product that reads it may want it rounded as it is made.
          const reader = random.pick(['f32', 'bf16', rows % 64 === 0 ? 'q8_0' : 'bf16'] as const)
          b.checkpoint.add(`${format}.down`, reader, 40, rows / 2)
          const down = b.g.weight(`${format}.down`, 40, rows / 2)
          b.g.op('linear', `${format}.out`, { x: gated, weight: down }, { activation: 'none' })
        }
      },
    })
    await runRows(bench, random.int(1, tokens))
  },
}

/** Blocks of every kind, by the greatest magnitude they may have; the last four become not-a-number, or may. */
const magnitudes = [
  ...[1, 1, 1e-3, 1e4, 127, 127.1, 0, 1e-44, smallestBlock, smallestBlock * 0.999, encodableEnd * 0.999],
  ...[encodableEnd, 3e38, Number.NaN, Infinity],
]

/** Rows of blocks of 32, each of another magnitude, with ties of the rounding among them. */
function unevenRows(random: Random, length: number): Float32Array {
  let size = 1
  return Float32Array.from({ length }, (_, i) => {
    if (i % encodedBlock === 0) size = random.pick(magnitudes)
    if (!Number.isFinite(size)) return random.chance(0.1) ? size : 1
    return (size * random.int(-254, 254)) / 254
  })
}

const encode: Case = {
  name: 'encode, blocks of every magnitude',
  ops: ['encode'],
  async run(backend, random) {
    const tokens = rowCounts(random)
    const bench = await openBench(backend, random, {
      limits: { tokens },
      build: (b) => {
        for (const encoding of encodings) {
          const width = encoding === 'bf16' ? random.int(1, 200) : encodedBlock * random.int(1, 9)
          const x = input(b, `${encoding}.x`, width, unevenRows(random, tokens * width))
          b.g.op('encode', encoding, { x }, { encoding })
        }
      },
    })
    await runRows(bench, random.int(1, tokens))
  },
}

const embeddings: Case = {
  name: 'embedding, every storage format',
  ops: ['embedding'],
  async run(backend, random) {
    const [tokens, vocabulary] = [rowCounts(random), random.int(1, 70)]
    const bench = await openBench(backend, random, {
      limits: { tokens, vocabulary },
      build: (b) => {
        const ids = b.g.frame('tokenIds', 'tokens')
        for (const format of formatNames) {
          const columns = columnsOf(format, random)
          const weight = stacked(b, format, format, vocabulary, columns)
          b.g.op('embedding', format, { ids, weight }, {})
          // Multiplied too, as a tied head is: the table may then lie in another form.
          if (random.chance(0.3)) {
            b.g.op('linear', `${format}.head`, { x: normalInput(b, 'x', columns), weight }, { activation: 'none' })
          }
        }
      },
    })
    bench.frame.counts[0] = random.int(1, tokens)
    for (let r = 0; r < tokens; r++) bench.frame.tokenIds[r] = random.int(0, Math.min(tokens, vocabulary) - 1)
    await bench.run()
  },
}

/** Conversions that a backend may be asked for, of weights and of what they are multiplied by; only for one that makes them. */
export const convertedCases: readonly Case[] = [
  linearCase('f32', 'bf16'),
  linearCase('f32', 'f16'),
  linearCase('bf16', 'q8_0'),
  linearCase('q4_k', 'q8_0'),
  encode,
]

export const matrixCases: readonly Case[] = [...formatNames.map((f) => linearCase(f)), gated, embeddings]
