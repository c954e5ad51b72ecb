import type { AddressInfo } from 'node:net'
import type { LLM } from '../library/index.ts'
import { createLogger } from '../serve/log.ts'
import type { ServeOptions } from '../serve/options.ts'
import { listen } from '../serve/server.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { type CheckedFlags, checkFlags, UsageError } from './checks.ts'
import { drain } from './drain.ts'
import { runtimeReport } from './environment.ts'
import { inertNotices, variableNotices } from './inert-options.ts'
import { loadModel, type ModelFlags } from './load-model.ts'
import { hubOptions, modelOptions, valuesOf } from './options.ts'
import { version } from './version.ts'

/** Values of `serveOptions`, and of `inertOptions` those that are checked. */
interface ServeFlags extends ModelFlags, Omit<CheckedFlags, keyof ModelFlags> {
  readonly hostname: string
  readonly port: number
  readonly maxConcurrentRequests: number
  readonly maxBestOf: number
  readonly maxStopSequences: number
  readonly maxTopNTokens: number
  readonly payloadLimit: number
  readonly maxChatMessages: number
  readonly maxChatBytes: number
  readonly corsAllowOrigin?: readonly string[]
  readonly maxClientBatchSize: number
  readonly apiKey?: readonly string[]
  readonly strict: boolean
  readonly jsonOutput: boolean
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly gracefulTerminationTimeout: number
  readonly otlpEndpoint?: string
  readonly otlpServiceName: string
  readonly env: boolean
}

/** How long a server whose engine has stopped for good still says so on `/health`, before it ends with code 1. */
const deadMs = 10_000

/**
 * `loquent serve`: loads the model, then listens; SIGINT, SIGTERM and SIGHUP let what is open finish. The engine has a
 * process of its own, so that what brings it down takes no connection with it.
 */
export async function serve(flags: ServeFlags): Promise<void> {
  checkFlags(flags)
  if (flags.env) process.stderr.write(runtimeReport(process.env))
  let stop = async (_why: string): Promise<void> => process.exit(0)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void stop(signal))
  const log = createLogger(flags)
  for (const text of notices(flags)) log.warn(text)
  const tracing = await tracingOf(flags, (text) => log.warn(text))
  let died = (): void => {}
  const onNotice = (text: string): void => {
    // A start is news; anything else that happens to the engine's process is a reason to look.
    if (text.endsWith(' started')) log.info(text)
    else log.warn(text)
    died()
  }
  const maxInputTokens = flags.maxInputTokens ?? flags.maxInputLength
  const more = { engine: 'process', onNotice, ...(maxInputTokens !== undefined && { maxInputTokens }) } as const
  const llm = await loadModel(modelFlags(flags), more)
  const app = await listen(llm, serveOptionsOf(flags), undefined, tracing).catch(async (error) => {
    await llm.close()
    throw error
  })
  let stopping = false
  stop = async (why) => {
    stopping = true
    await drain(app, llm, { why, timeoutMs: flags.gracefulTerminationTimeout * 1000 })
    await tracing?.close()
  }
  died = () => {
    if (stopping || llm.state !== 'stopped') return
    stopping = true
    process.exitCode = 1
    setTimeout(() => void stop('no engine'), deadMs)
  }
  const { address, port } = app.server.address() as AddressInfo
  log.info(factsOf(llm), `serving on http://${address.includes(':') ? `[${address}]` : address}:${port}`)
  // Scripts that start a server wait for this word.
  log.info('Connected')
}

/** Loaded only when asked for: the packages are optional ones, and take their time. */
async function tracingOf(
  { otlpEndpoint: endpoint, otlpServiceName: serviceName }: ServeFlags,
  onNotice: (text: string) => void,
): Promise<Tracing | undefined> {
  if (endpoint === undefined) return undefined
  const { startTracing } = await import('../telemetry/trace.ts').catch((error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new UsageError('--otlp-endpoint needs the optional packages @opentelemetry/*, which are not installed')
  })
  return startTracing({ endpoint, serviceName, onNotice })
}

/** What somebody should know before anything starts. */
export function notices(flags: Pick<ServeFlags, 'hostname' | 'apiKey'>): readonly string[] {
  const open = !/^(127\.|::1$)/.test(flags.hostname) && !flags.apiKey?.length
  const access = `${flags.hostname} can be reached from other machines and asks for no key; give one with --api-key`
  return [...inertNotices(flags), ...variableNotices(process.env), ...(open ? [access] : [])]
}

const modelFlags = (flags: ServeFlags): ModelFlags =>
  valuesOf(flags, [...modelOptions, ...hubOptions]) as unknown as ModelFlags

const factsOf = ({ info: { modelId, architecture, backend, dtype } }: LLM) => ({
  model: modelId,
  architecture,
  backend,
  dtype,
})

function serveOptionsOf(flags: ServeFlags): ServeOptions {
  const { hostname, port, maxConcurrentRequests, maxBestOf, maxStopSequences, maxTopNTokens } = flags
  const { payloadLimit, maxClientBatchSize, corsAllowOrigin = [], jsonOutput, logLevel, validationWorkers } = flags
  const { maxChatMessages, maxChatBytes } = flags
  const limits = { maxConcurrentRequests, maxBestOf, maxStopSequences, maxTopNTokens, maxClientBatchSize }
  const sizes = { payloadLimit, maxChatMessages, maxChatBytes }
  const access = { corsAllowOrigin, apiKeys: flags.apiKey ?? [], strict: flags.strict }
  return {
    ...{ version, hostname, port, ...limits, ...sizes, ...access, jsonOutput, logLevel },
    ...(validationWorkers && { validationWorkers }),
    ...settingsOfVariables(process.env),
  }
}

/** Settings that have a variable but no flag. */
function settingsOfVariables(env: Readonly<Record<string, string | undefined>>): ServeOptions {
  const named = {
    computeType: env['COMPUTE_TYPE'],
    dockerLabel: env['DOCKER_LABEL'],
    sha: env['GIT_SHA'],
    vertexPredictRoute: env['AIP_PREDICT_ROUTE'],
    vertexHealthRoute: env['AIP_HEALTH_ROUTE'],
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value)) as ServeOptions
}
