import { helpFor } from '../engine/memory-plan.ts'
import { type MemoryPlan, planMemory } from '../library/index.ts'
import { loadOptions, type ModelFlags } from './load-model.ts'

/** Values of `planOptions`. */
interface PlanFlags extends ModelFlags {
  readonly json: boolean
}

/** `loquent plan`: bytes by arena and what fits, before anything is loaded. Exits with 1 when it does not fit. */
export async function plan({ json, ...flags }: PlanFlags): Promise<void> {
  const found = await planMemory(flags.modelId, loadOptions(flags))
  process.stdout.write(json ? `${JSON.stringify(planData(found))}\n` : planText(found))
  if (found.total > found.available) process.exitCode = 1
}

const count = (n: number): string => n.toLocaleString('en-US')
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const requests = (n: number, context: number) => `${count(n)} full request${n === 1 ? '' : 's'} of ${count(context)}`

/** The plan as a table. */
export function planText(plan: MemoryPlan): string {
  const { facts, limits, arenas, total, available, mostCacheTokens } = plan
  const { context, blocks, blockSize, tokens, sequences } = limits
  const cacheTokens = blocks * blockSize
  const held = (kvTokens: number) => `${count(kvTokens)} tokens: ${requests(Math.floor(kvTokens / context), context)}`
  const fits = total <= available
  const rows = [
    ['weights', mebibytes(arenas.weights), `mostly ${facts.dtype}`],
    ['KV cache', mebibytes(arenas.cache), held(cacheTokens)],
    ['activations', mebibytes(arenas.activations), `${count(tokens)} tokens a step`],
    ['step', mebibytes(arenas.step), `${count(sequences)} requests a step`],
    ['total', mebibytes(total), `${fits ? 'fits' : 'DOES NOT FIT'}: ${mebibytes(available)} are available`],
  ]
  const lines = rows.map(([name, size, words]) => `${name!.padEnd(12)}${size!.padStart(14)}   ${words}`)
  const room = fits ? `room for a KV cache of ${held(mostCacheTokens)} (--max-batch-total-tokens)` : helpFor(plan)
  return `${facts.architecture} on ${facts.backend}\n\n${lines.join('\n')}\n\n${room}\n`
}

/** The plan as plain data: bytes and tokens. */
function planData({ facts, limits, arenas, total, available, mostCacheTokens }: MemoryPlan) {
  const { architecture, backend, dtype } = facts
  const { context: maxTotalTokens, blocks, blockSize, tokens: maxBatchPrefillTokens, sequences: maxBatchSize } = limits
  const sizes = { maxTotalTokens, maxBatchTotalTokens: blocks * blockSize, maxBatchPrefillTokens, maxBatchSize }
  const fits = total <= available
  return { plan: 'loquent', architecture, backend, dtype, ...sizes, arenas, total, available, fits, mostCacheTokens }
}
