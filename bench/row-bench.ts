import type { Backend } from '#dist/backends/contract.js'
import type { Value } from '#dist/graph/node.js'
import type { Measurement } from './linear-bench.ts'
import { type Building, input, inTurn, openProgram, plainRows } from './program.ts'
import type { ModelShape } from './shapes.ts'

/** Executions in a program: these ops take microseconds. */
const copies = 60

/** One op that reads `width` columns; gives what the next copy reads. */
interface RowOp {
  readonly name: string
  readonly width: (m: ModelShape) => number
  /** Values of that width that an execution reads and writes. */
  readonly streams: number
  readonly add: (b: Building, name: string, x: Value, y: Value, m: ModelShape) => Value
}

const norm = { epsilon: 1e-5, offset: 0 }

const rowOps: readonly RowOp[] = [
  {
    name: 'rmsNorm',
    width: (m) => m.hidden,
    streams: 2,
    add: ({ g }, name, x) => g.op('rmsNorm', name, { x, weight: g.weight('norm', 1, x.width) }, norm)['out']!,
  },
  {
    name: 'addRmsNorm',
    width: (m) => m.hidden,
    streams: 4,
    add: ({ g }, name, x, y) => g.op('addRmsNorm', name, { x, y, weight: g.weight('norm', 1, x.width) }, norm)['out']!,
  },
  {
    name: 'gatedActivation',
    width: (m) => m.intermediate,
    streams: 3,
    add: ({ g }, name, gate, up) => g.op('gatedActivation', name, { gate, up }, { activation: 'silu' })['out']!,
  },
  {
    name: 'rope',
    width: (m) => m.heads * m.headDim,
    streams: 2,
    add: ({ g }, name, x, table, m) =>
      g.op(
        'rope',
        name,
        { x, table: g.columns(table, 0, m.headDim) },
        { heads: m.heads, headDim: m.headDim, style: 'half' },
      )['out']!,
  },
  {
    name: 'add',
    width: () => 16,
    streams: 3,
    add: ({ g }, name, x, y) => g.op('add', name, { x, y }, {})['out']!,
  },
]

/** What stands between the matrix products. `add` of 16 columns is what an instruction costs at least. */
export async function benchRows(
  open: () => Backend,
  model: ModelShape,
  rows: readonly number[],
  rounds: number,
): Promise<Measurement[]> {
  const backend = open()
  try {
    const measured: Measurement[] = []
    for (const op of rowOps) {
      const [width, tokens] = [op.width(model), Math.max(...rows)]
      const { frame, run } = await openProgram(backend, { tokens }, (b) => {
        b.tensors.add('norm', 'f32', 1, width)
        const y = input(b, 'y', tokens, width)
        let x = input(b, 'x', tokens, width)
        for (let i = 0; i < copies; i++) x = op.add(b, `out${i}`, x, y, model)
      })
      const timed = rows.map((r) => () => {
        plainRows(frame, r)
        return run()
      })
      const took = await inTurn(timed, rounds)
      for (const [i, r] of rows.entries()) {
        const bytes = 4 * op.streams * width * r
        const fact = { model: model.name, op: op.name, format: 'f32', rows: r, bytes, flops: 0, times: model.layers }
        measured.push({ ...fact, seconds: took[i]!.median / copies, best: took[i]!.best / copies })
      }
    }
    return measured
  } finally {
    backend.close()
  }
}
