import type { Socket } from 'node:net'
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify'
import { LoquentError } from '../base/errors.ts'
import type { LLM } from '../library/types.ts'
import { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { Admission, tellRetry } from './admission.ts'
import { apiKeyGate, type Gate, requireKey } from './api-key.ts'
import { BodyRejection, tooLarge, wrongMediaType } from './body.ts'
import { cloudRoutes } from './cloud/routes.ts'
import { cors } from './cors.ts'
import { drainOnClose } from './drain.ts'
import { answerOf } from './errors.ts'
import { Health, healthRoutes } from './health.ts'
import { sendJson } from './json-reply.ts'
import { createLogger, type LogSink } from './log.ts'
import { metricsObserver, metricsRoute } from './metrics.ts'
import { openaiRoutes } from './openai/routes.ts'
import { docsRoutes } from './openapi/routes.ts'
import { type ServeOptions, type ServeSettings, settingsOf } from './options.ts'
import { logObserver, type Observer, observers } from './outcome.ts'
import type { Context } from './tgi/context.ts'
import { tgiRoutes } from './tgi/routes.ts'
import { traceRequests } from './trace.ts'
import { uiRoute } from './ui.ts'

/** Longest time a request, body included, may take to arrive. */
const REQUEST_TIMEOUT_MS = 300_000
/** Most connections at one time; each may hold one body of the payload limit. */
const MAX_CONNECTIONS = 4096

/**
 * A server over a loaded model, not listening yet. Closing it (`close()`) stops accepting, finishes what is open and
 * leaves the model to whoever loaded it.
 */
export function createServer(llm: LLM, options: ServeOptions = {}, sink?: LogSink, tracing?: Tracing): FastifyInstance {
  const settings = settingsOf(llm, options)
  const app = fastify({
    loggerInstance: createLogger(settings, sink),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: settings.payloadLimit,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    clientErrorHandler: answerMalformed,
    frameworkErrors: (_error, _request, reply) => (reply as FastifyReply).code(404).send(),
  }) as unknown as FastifyInstance
  app.server.maxConnections = MAX_CONNECTIONS
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  const metrics = new Metrics(llm.info, () => llm.stats())
  app.addHook('onRequest', cors(settings.corsAllowOrigin))
  const gate = apiKeyGate(settings.apiKeys)
  app.addHook('onRequest', requireKey(gate))
  const traces = tracing ? [traceRequests(app, tracing, settings.vertexPredictRoute)] : []
  const context = contextOf(llm, settings, observers(logObserver, metricsObserver(metrics), ...traces))
  app.setErrorHandler(answerError(context))
  answerUnknown(app, gate)
  drainOnClose(app)
  tellRetry(app, context.admission)
  const { vertexHealthRoute } = settings
  healthRoutes(app, new Health(llm, settings.healthDeadlineMs), vertexHealthRoute === null ? [] : [vertexHealthRoute])
  tgiRoutes(app, context)
  openaiRoutes(app, context)
  cloudRoutes(app, context)
  docsRoutes(app, settings)
  metricsRoute(app, metrics)
  uiRoute(app)
  return app
}

/** Creates a server and listens on the host and port of the options. */
export async function listen(
  llm: LLM,
  options: ServeOptions = {},
  sink?: LogSink,
  tracing?: Tracing,
): Promise<FastifyInstance> {
  const { hostname, port } = settingsOf(llm, options)
  const app = createServer(llm, options, sink, tracing)
  await app.listen({ host: hostname, port })
  return app
}

const contextOf = (llm: LLM, settings: ServeSettings, observer: Observer): Context => ({
  llm,
  settings,
  limits: { ...settings, maxInputTokens: llm.info.maxInputTokens },
  admission: new Admission(settings.maxConcurrentRequests),
  observer,
})

/** Tells an error: a refused body as plain text, everything else as an error object. */
const answerError =
  ({ observer }: Context) =>
  (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const rejected = rejectionOf(error)
    if (rejected) return reply.code(rejected.status).type('text/plain; charset=utf-8').send(rejected.message)
    observer.failed(request, error)
    const { status, body } = answerOf(error)
    return sendJson(reply.code(status), JSON.stringify(body))
  }

/** The refusals of our own door and those of the framework below it. */
function rejectionOf(error: unknown): BodyRejection | undefined {
  if (error instanceof BodyRejection) return error
  if (error instanceof LoquentError) return undefined
  const { code, statusCode, message } = error as FastifyError
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge()
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return wrongMediaType()
  if (statusCode === undefined || statusCode >= 500 || statusCode < 400) return undefined
  return new BodyRejection(statusCode, message)
}

/** An unknown path is 404; a known one asked with another method is 405 and says which it takes. Both are empty. */
function answerUnknown(app: FastifyInstance, gate: Gate): void {
  const routes = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    const known = routes.get(url) ?? { pattern: new RegExp(`^${url.replace(/:\w+/g, '[^/]+')}$`), methods: new Set() }
    for (const name of [method].flat()) known.methods.add(name)
    routes.set(url, known)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!
    const [url, known] = [...routes].find(([, { pattern }]) => pattern.test(path)) ?? []
    if (!known) return reply.code(404).send()
    if (known.methods.has('POST') && !gate(request, 'POST', url!)) return reply.code(401).send()
    const allow = [...known.methods].sort().join(',')
    return reply.code(405).header('allow', allow).send()
  })
}

const malformedStatus: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** What is not HTTP gets an empty answer and a closed connection. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = malformedStatus[error.code ?? ''] ?? '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}
