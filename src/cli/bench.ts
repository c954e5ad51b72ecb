import type { EngineHost } from '../engine/host.ts'
import type { EngineOptions } from '../engine/spec.ts'
import { startWorkerHost } from '../engine/worker-host.ts'
import { embeddedModel } from '../library/embedded.ts'
import type { ModelFlags } from './load-model.ts'
import { type Decode, measureDecode, measurePrefill, type Prefill, streamTokens, type Workload } from './measure.ts'
import { showProgress } from './progress.ts'
import { median, quantile } from './statistics.ts'

/** Values of `benchOptions`. */
interface BenchFlags extends ModelFlags {
  readonly promptTokens: readonly number[]
  readonly newTokens: number
  readonly batch: readonly number[]
  readonly rounds: number
}

/** Tokens of a step, unless the flags say otherwise: what the engine takes by default. */
const defaultStepTokens = 512

/** A workload with medians over the rounds; times in milliseconds, rates in tokens a second. */
interface Line extends Workload {
  readonly prefillRate: number
  readonly firstToken: number
  readonly decodeRate: number
  readonly gapMedian: number
  readonly gapP99: number
}

/** `loquent bench`: the engine alone, without text or HTTP. A table for people, one JSON line last. */
export async function bench(flags: BenchFlags): Promise<void> {
  const { promptTokens, batch, newTokens, rounds } = flags
  const workloads = promptTokens.flatMap((p) => batch.map((b) => ({ batch: b, promptTokens: p, newTokens })))
  const stepTokens = flags.maxBatchPrefillTokens ?? Math.max(defaultStepTokens, ...batch)
  const options = engineOptions(flags, workloads, stepTokens)
  const started = performance.now()
  const host = await startWorkerHost(options, showProgress(process.stderr))
  const loadSeconds = (performance.now() - started) / 1000
  try {
    const lines = await run(host, workloads, rounds)
    print(host, lines)
    const { backend, dtype } = host.facts
    const facts = { backend, dtype, threads: flags.threads ?? null, isa: flags.isa ?? null, loadSeconds, rounds }
    process.stdout.write(`${JSON.stringify({ bench: 'loquent', model: options.model, ...facts, lines })}\n`)
  } finally {
    await host.close()
  }
}

/** What the engine must hold for the greatest workload, unless the flags ask for more. */
function engineOptions(flags: BenchFlags, workloads: readonly Workload[], stepTokens: number): EngineOptions {
  const { modelId, backend, dtype, kvCacheDtype, cpuAffinity, numa, threads, isa, verify } = flags
  const context = Math.max(...workloads.map((w) => streamTokens(w)))
  const held = Math.max(...workloads.map((w) => w.batch * (streamTokens(w) + kvSlack)))
  return {
    model: modelId ?? embeddedModel,
    backend,
    dtype,
    kvDtype: kvCacheDtype,
    ...(cpuAffinity && { affinity: cpuAffinity }),
    ...(numa !== undefined && { numa }),
    verify,
    ...(threads && { threads }),
    ...(isa && { isa }),
    maxTotalTokens: flags.maxTotalTokens ?? context,
    maxBatchTotalTokens: flags.maxBatchTotalTokens ?? Math.max(held, context + kvSlack),
    maxBatchPrefillTokens: stepTokens,
    maxBatchSize: flags.maxBatchSize ?? Math.max(...workloads.map((w) => w.batch)),
    // All prompts first, then all streams at once: each is measured by itself.
    prefillStretch: 1e6,
  }
}

/** A stream takes whole blocks, and one more is asked for before it starts. */
const kvSlack = 64

interface Round {
  readonly prefill: Prefill
  readonly decode: Decode
}

/** All workloads in turn, round after round, after one that warms up. */
async function run(host: EngineHost, workloads: readonly Workload[], rounds: number): Promise<Line[]> {
  const done: Round[][] = workloads.map(() => [])
  let seed = 0
  const once = async (w: Workload): Promise<Round> => {
    seed++
    return { prefill: await measurePrefill(host, w, seed), decode: await measureDecode(host, w, seed) }
  }
  await once({ ...workloads[0]!, batch: 1, newTokens: 2 })
  for (let r = 0; r < rounds; r++) {
    for (const [i, w] of workloads.entries()) done[i]!.push(await once(w))
  }
  return workloads.map((w, i) => line(w, done[i]!))
}

function line(w: Workload, rounds: readonly Round[]): Line {
  const gaps = rounds.flatMap((r) => r.decode.gaps)
  return {
    ...w,
    prefillRate: median(rounds.map((r) => r.prefill.rate)),
    firstToken: median(rounds.flatMap((r) => r.prefill.firstToken)),
    decodeRate: median(rounds.map((r) => r.decode.rate)),
    gapMedian: median(gaps),
    gapP99: quantile(gaps, 0.99),
  }
}

const columns = ['batch', 'prompt', 'prefill t/s', 'first ms', 'decode t/s', 'a stream', 'gap p50 ms', 'gap p99 ms']

function print({ facts }: EngineHost, lines: readonly Line[]): void {
  const out = (cells: readonly string[]) =>
    process.stdout.write(`${cells.map((c, i) => c.padStart(columns[i]!.length)).join('  ')}\n`)
  process.stdout.write(`${facts.architecture}, ${facts.dtype}, ${facts.backend}; rates over all streams\n`)
  out(columns)
  for (const l of lines) {
    const times = [l.gapMedian, l.gapP99].map((ms) => ms.toFixed(2))
    const rates = [l.decodeRate, l.decodeRate / l.batch].map((rate) => rate.toFixed(1))
    out([`${l.batch}`, `${l.promptTokens}`, l.prefillRate.toFixed(0), l.firstToken.toFixed(1), ...rates, ...times])
  }
}
