import type { AddressInfo } from 'node:net'
import { listen } from '../serve/server.ts'
import { loadModel, type ModelFlags } from './load-model.ts'
import { version } from './version.ts'

/** Values of `serveOptions`. */
interface ServeFlags extends ModelFlags {
  readonly hostname: string
  readonly port: number
  readonly maxConcurrentRequests: number
  readonly waitingServedRatio?: number
  readonly maxWaitingTokens?: number
  readonly maxBestOf: number
  readonly maxStopSequences: number
  readonly maxTopNTokens: number
  readonly payloadLimit: number
  readonly corsAllowOrigin?: readonly string[]
  readonly maxClientBatchSize: number
  readonly apiKey?: readonly string[]
  readonly strict: boolean
  readonly jsonOutput: boolean
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/** Flags that say when running requests make room for a waiting prompt: here both are in every step. */
export function notApplying(flags: Pick<ServeFlags, 'waitingServedRatio' | 'maxWaitingTokens'>): string[] {
  const given = [
    flags.waitingServedRatio !== undefined && '--waiting-served-ratio',
    flags.maxWaitingTokens !== undefined && '--max-waiting-tokens',
  ].filter((flag) => flag !== false)
  return given.map(
    (flag) => `${flag} does not apply: prompts are computed in chunks beside running requests, which never pause`,
  )
}

/** How long a server whose engine has stopped for good still says so on `/health`, before it ends with code 1. */
const deadMs = 10_000

/**
 * `loquent serve`: loads the model, then listens; SIGINT and SIGTERM let what is open finish. The engine has a process
 * of its own, so that what brings it down takes no connection with it.
 */
export async function serve(flags: ServeFlags): Promise<void> {
  let notice = (text: string): void => void process.stderr.write(`loquent: ${text}\n`)
  const llm = await loadModel(flags, { engine: 'process', onNotice: (text) => notice(text) })
  const { hostname, port, maxConcurrentRequests, maxBestOf, maxStopSequences, maxTopNTokens } = flags
  const { payloadLimit, maxClientBatchSize, corsAllowOrigin = [], jsonOutput, logLevel } = flags
  const limits = { maxConcurrentRequests, maxBestOf, maxStopSequences, maxTopNTokens, payloadLimit, maxClientBatchSize }
  const access = { corsAllowOrigin, apiKeys: flags.apiKey ?? [], strict: flags.strict }
  const app = await listen(llm, { version, hostname, port, ...limits, ...access, jsonOutput, logLevel })
  let stopping = false
  const stop = async (why: string) => {
    stopping = true
    app.log.info(`${why}: finishing open requests`)
    await app.close()
    await llm.close()
  }
  notice = (text) => {
    app.log.warn(text)
    if (stopping || llm.state !== 'stopped') return
    stopping = true
    process.exitCode = 1
    setTimeout(() => void stop('no engine'), deadMs)
  }
  for (const text of notApplying(flags)) notice(text)
  const address = app.server.address() as AddressInfo
  const { modelId, architecture, backend, dtype } = llm.info
  app.log.info({ model: modelId, architecture, backend, dtype }, `serving on http://${address.address}:${address.port}`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(signal))
}
