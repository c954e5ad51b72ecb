import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Case } from './cases.ts'

const execute = promisify(execFile)

/** How llama.cpp is run. */
export interface Setting {
  readonly threads: number
  readonly flashAttention: boolean
}

export const settingName = ({ threads, flashAttention }: Setting): string =>
  `${threads} thread${threads > 1 ? 's' : ''}, flash attention ${flashAttention ? 'on' : 'off'}`

/** Seconds after which a run is given up, and those of the long contexts, whose prompt takes most of it. */
const patience = 25
const deepPatience = 150
/** A context of llama.cpp is rounded up to this, each stream its own. */
const contextStep = 256

/** Folder with llama-bench and llama-batched-bench; throws when they are not there. */
export function findPeer(folder: string): string {
  for (const f of [folder, join(folder, 'bin'), join(folder, 'build', 'bin')]) {
    if (existsSync(join(f, 'llama-bench')) && existsSync(join(f, 'llama-batched-bench'))) return f
  }
  throw new Error(`${folder} has no llama-bench and llama-batched-bench; build-peer makes them`)
}

/** Seconds that a run of this case may take before it is given up. */
export const patienceFor = (c: Case): number => (c.mostRounds === 1 ? deepPatience : patience)

/** Tokens a second of one run; 0 when it took more than `seconds`. */
export async function runPeer(
  folder: string,
  model: string,
  c: Case,
  setting: Setting,
  seconds: number,
): Promise<number> {
  const common = ['-m', model, '-t', `${setting.threads}`]
  const [program, argv] =
    c.batch > 1
      ? ['llama-batched-bench', [...common, ...batchedArguments(c, setting)]]
      : ['llama-bench', [...common, ...singleArguments(c, setting)]]
  const timeout = Math.ceil(1000 * seconds)
  try {
    const { stdout } = await execute(join(folder, program!), argv as string[], { timeout, killSignal: 'SIGKILL' })
    const last = JSON.parse(stdout.trim().split('\n').at(-1)!)
    return Number(c.batch > 1 ? last.speed_tg : last.avg_ts)
  } catch (error) {
    if ((error as { killed?: boolean }).killed) return 0
    throw error
  }
}

function singleArguments(c: Case, { flashAttention }: Setting): string[] {
  const work =
    c.kind === 'prefill'
      ? ['-p', `${c.promptTokens}`, '-n', '0']
      : ['-p', '0', '-n', `${c.newTokens}`, '-d', `${c.promptTokens}`]
  return [...work, '-r', '1', '-fa', flashAttention ? '1' : '0', '-o', 'jsonl']
}

/** The prompt is computed once and copied to every stream's own cache (`-pps`): only generation is measured. */
function batchedArguments(c: Case, { flashAttention }: Setting): string[] {
  const stream = Math.ceil((c.promptTokens + c.newTokens) / contextStep) * contextStep
  const sizes = ['-npp', c.promptTokens, '-ntg', c.newTokens, '-npl', c.batch, '-c', stream * c.batch].map(String)
  return [...sizes, '-pps', '-no-kvu', '-fa', flashAttention ? 'on' : 'off', '--output-format', 'jsonl']
}
