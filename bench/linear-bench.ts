import type { Backend } from '#dist/backends/contract.js'
import { type FormatName, formats } from '#dist/tensor/format.js'
import { type Building, input, inTurn, openProgram, plainRows, type Runnable, walkedBytes } from './program.ts'
import { type LinearShape, linearShapes, type ModelShape } from './shapes.ts'

/** Copies of a matrix in a program, at most. */
const mostCopies = 200

/** One kernel at one size: seconds an execution (median and best), bytes it must read, arithmetic it must do. */
export interface Measurement {
  readonly model: string
  readonly op: string
  readonly format: string
  readonly rows: number
  readonly seconds: number
  readonly best: number
  readonly bytes: number
  readonly flops: number
  readonly times: number
}

/** Formats that the backend multiplies with as they are stored, instead of making them another one. */
export function multipliedFormats({ traits }: Backend): readonly FormatName[] {
  const weight = { kind: 'weight', rows: 256, columns: 256, tensors: ['w'] } as const
  return (Object.keys(formats) as FormatName[]).filter(
    (format) => traits.storage(weight, 'linear', [format]).format === format,
  )
}

/** Every matrix product of a model in one format, at each number of rows. */
export async function benchLinears(
  open: () => Backend,
  model: ModelShape,
  format: FormatName,
  rows: readonly number[],
  rounds: number,
): Promise<Measurement[]> {
  const measured: Measurement[] = []
  for (const shape of linearShapes(model)) {
    if (shape.columns % formats[format].elementsPerBlock !== 0) continue
    const backend = open()
    try {
      measured.push(...(await benchLinear(backend, model.name, shape, format, rows, rounds)))
    } finally {
      backend.close()
    }
  }
  return measured
}

async function benchLinear(
  backend: Backend,
  model: string,
  shape: LinearShape,
  format: FormatName,
  rows: readonly number[],
  rounds: number,
): Promise<Measurement[]> {
  const { out, columns, times } = shape
  const weight = { kind: 'weight', rows: out, columns, tensors: ['w'] } as const
  const { bytes } = backend.traits.storage(weight, 'linear', [format])
  const copies = Math.min(mostCopies, Math.ceil(walkedBytes / bytes))
  const tokens = Math.max(...rows)
  const runnable = await openProgram(backend, { tokens }, (b) => buildCopies(b, shape, format, tokens, copies))
  const took = await inTurn(
    rows.map((r) => () => runRows(runnable, r)),
    rounds,
  )
  return rows.map((r, i) => ({
    model,
    op: shape.name,
    format,
    rows: r,
    seconds: took[i]!.median / copies,
    best: took[i]!.best / copies,
    bytes,
    flops: 2 * r * out * columns,
    times,
  }))
}

function buildCopies(b: Building, shape: LinearShape, format: FormatName, tokens: number, copies: number): void {
  const x = input(b, 'x', tokens, shape.columns)
  for (let i = 0; i < copies; i++) {
    b.tensors.add(`w${i}`, format, shape.out, shape.columns)
    const weight = b.g.weight(`w${i}`, shape.out, shape.columns)
    // A view of its own: linears that read the same value would be merged into one.
    b.g.op('linear', `out${i}`, { x: b.g.columns(x, 0, shape.columns), weight }, { activation: 'none' })
  }
}

function runRows({ frame, run }: Runnable, rows: number): Promise<number> {
  plainRows(frame, rows)
  return run()
}
