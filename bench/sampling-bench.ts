import type { Backend } from '#dist/backends/contract.js'
import type { Frame } from '#dist/ops/frame.js'
import { sampleFrom } from '#dist/sampling/chain.js'
import type { Measurement } from './linear-bench.ts'
import { input, inTurn, openProgram, type Runnable } from './program.ts'

const context = 1024

/** Ways to choose a token; each sets the parameters of sampled row `s`. */
const kinds: Readonly<Record<string, (f: Frame, s: number) => void>> = {
  greedy: () => {},
  draw: (f, s) => {
    f.sampling[s] = 1
  },
  'top-k 50, top-p 0.95': (f, s) => {
    f.sampling[s] = 1
    f.temperature[s] = 0.7
    f.topK[s] = 50
    f.topP[s] = 0.95
  },
  'top-p 0.95': (f, s) => {
    f.sampling[s] = 1
    f.topP[s] = 0.95
  },
  'typical-p 0.9': (f, s) => {
    f.sampling[s] = 1
    f.typicalP[s] = 0.9
  },
  'greedy, penalty, 5 alternatives': (f, s) => {
    f.repetitionPenalty[s] = 1.2
    f.topTokens[s] = 5
  },
}

/** The chain from logits to a token, over a vocabulary; the copying of logits into place is taken off. */
export async function benchSampling(
  open: () => Backend,
  vocabulary: number,
  rows: readonly number[],
  rounds: number,
): Promise<Measurement[]> {
  const backend = open()
  try {
    const most = Math.max(...rows)
    const limits = { tokens: most, samples: most, sequences: most, context, vocabulary, topTokens: 32 }
    const programs = await Promise.all(
      [true, false].map((sample) =>
        openProgram(backend, limits, (b) => {
          const logits = b.g.op('selectRows', 'logits', { x: input(b, 'hidden', most, vocabulary) }, {})['out']!
          if (sample) sampleFrom(b.g, logits)
        }),
      ),
    )
    const [chain, copy] = programs as [Runnable, Runnable]
    const measured: Measurement[] = []
    for (const r of rows) {
      const timed = Object.values(kinds).map((set) => () => runSamples(chain, r, set))
      const [copied, ...took] = await inTurn([() => runSamples(copy, r, () => {}), ...timed], rounds)
      for (const [i, kind] of Object.keys(kinds).entries()) {
        const fact = { model: `vocabulary ${vocabulary}`, op: `sampling: ${kind}`, format: 'f32', rows: r, times: 1 }
        const less = (time: 'median' | 'best') => Math.max(0, took[i]![time] - copied![time])
        measured.push({ ...fact, seconds: less('median'), best: less('best'), bytes: 4 * vocabulary * r, flops: 0 })
      }
    }
    return measured
  } finally {
    backend.close()
  }
}

function runSamples({ frame, run }: Runnable, rows: number, set: (f: Frame, s: number) => void): Promise<number> {
  for (const f of ['temperature', 'topP', 'typicalP', 'repetitionPenalty'] as const) frame[f].fill(1)
  for (const f of ['sampling', 'topK', 'topTokens', 'frequencyPenalty'] as const) frame[f].fill(0)
  for (let s = 0; s < rows; s++) {
    frame.tokenIds[s] = s
    frame.sampleRows[s] = s
    frame.sampleHistory[s] = s
    frame.sampleLengths[s] = context
    for (let i = 0; i < context; i++) frame.history[s * context + i] = (i * 37 + s) % 1000
    frame.sampleSeedLow[s] = s
    set(frame, s)
  }
  frame.counts.set([rows, rows, rows])
  return run()
}
