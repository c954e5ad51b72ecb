import type { EngineHost } from '../host.ts'
import type { GenerateSpec, TokenEvents } from '../spec.ts'
import { mixed, specOf } from './simulation.ts'

const drawn = { ...specOf({}).sampling, sampling: true, temperature: 1.2, repetitionPenalty: 1.2 }

/** Greedy and drawn in turn; none of the prompts begins with an id that a faulty engine dies of. */
export const specs: readonly GenerateSpec[] = Array.from({ length: 8 }, (_, i) =>
  specOf({
    promptIds: [1, ...mixed(i, 5 + 3 * i)],
    maxNewTokens: 60,
    topTokens: i % 3,
    promptLogprobs: i === 5,
    ...(i % 2 ? { sampling: { ...drawn, seed: BigInt(i) } } : {}),
  }),
)

export interface Answer {
  readonly tokens: TokenEvents['tokens'][number][]
  readonly promptLogprobs: TokenEvents['promptLogprobs'][]
  readonly finish: TokenEvents['finish']
}

/** All that a request is told; `heard` is called with each of its events. */
export async function read(host: EngineHost, spec: GenerateSpec, heard = () => {}): Promise<Answer> {
  const all: TokenEvents[] = []
  for await (const events of host.submit(spec)) {
    all.push(events)
    heard()
  }
  return {
    tokens: all.flatMap((e) => e.tokens),
    promptLogprobs: all.flatMap((e) => (e.promptLogprobs ? [e.promptLogprobs] : [])),
    finish: all.at(-1)?.finish,
  }
}

/** What of answers must be the same whatever happened to the engine. */
export const bytesOf = (answers: readonly Answer[]) =>
  answers.map(({ tokens, promptLogprobs, finish }) => ({ tokens, promptLogprobs, reason: finish?.reason }))
