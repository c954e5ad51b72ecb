import type { FastifyInstance, FastifyRequest } from 'fastify'
import { readTraceparent } from '../telemetry/traceparent.ts'
import type { Attributes, OpenSpan, Tracing } from '../telemetry/tracing.ts'
import type { Done, Observer } from './outcome.ts'

interface Traced {
  readonly name: string
  /** Continues the trace of whoever asks. */
  readonly remote?: true
  /** The parameters of its generations are not told. */
  readonly terse?: true
  /** A span within it, which continues the trace in its place. */
  readonly inner?: string
}

/** The routes that have a span, under the names of the reference. */
const traced: Readonly<Record<string, Traced>> = {
  'POST /generate': { name: 'generate', remote: true },
  'POST /generate_stream': { name: 'generate_stream', remote: true },
  'POST /': { name: 'compat_generate', inner: 'generate' },
  'POST /v1/chat/completions': { name: 'chat_completions', remote: true },
  'POST /v1/completions': { name: 'completions', remote: true, terse: true },
  'POST /vertex': { name: 'vertex_compatibility', remote: true, terse: true },
  'POST /invocations': { name: 'sagemaker_compatibility', inner: 'generate' },
  'POST /v2/models/:model/versions/:version/infer': { name: 'kserve_infer', remote: true },
  'POST /tokenize': { name: 'tokenize' },
  'GET /info': { name: 'get_model_info' },
  'GET /v1/models': { name: 'openai_get_model_info' },
  'GET /health': { name: 'health' },
}

interface Open {
  readonly span: OpenSpan
  readonly terse: boolean
  readonly inner: string | undefined
}

/** A span for each request of a traced route, until its answer is out; returns what tells of the generations in it. */
export function traceRequests(app: FastifyInstance, tracing: Tracing, vertexRoute: string | null): Observer {
  const open = new WeakMap<FastifyRequest, Open>()
  app.addHook('onRequest', async (request, reply) => {
    const { url } = request.routeOptions
    const found = traced[`${request.method} ${url === vertexRoute ? '/vertex' : url}`]
    if (!found) return
    const caller = readTraceparent(request.headers['traceparent'])
    const outer = tracing.begin(found.name, found.remote && caller)
    const inner = found.inner === undefined ? undefined : tracing.begin(found.inner, caller ?? outer)
    open.set(request, { span: inner ?? outer, terse: found.terse ?? false, inner: found.inner })
    reply.raw.once('close', () => {
      inner?.end()
      outer.end()
    })
  })
  return {
    began: () => {},
    done: (request, done) => {
      const found = open.get(request)
      if (found) tell(found, done)
    },
    failed: (request, error) => open.get(request)?.span.fail(error instanceof Error ? error.message : String(error)),
  }
}

function tell({ span, terse, inner }: Open, { generation, totalMs, parameters, streamed }: Done): void {
  const { queue, inference } = generation.timings
  const validation = Math.max(0, totalMs - queue - inference)
  const { seed } = generation
  const times: Attributes = {
    total_time: duration(totalMs),
    validation_time: duration(validation),
    queue_time: duration(queue),
    inference_time: duration(inference),
    time_per_token: duration(inference / Math.max(1, generation.generatedTokens)),
    seed: seed === null ? 'None' : `Some(${seed})`,
  }
  span.set(terse ? times : { ...times, parameters: JSON.stringify(parameters, plain) })
  if (streamed && inner === 'generate') span.rename('generate_stream')
  const ended = performance.timeOrigin + performance.now()
  span.part('validate', ended - totalMs, ended - totalMs + validation)
  span.part('queued', ended - inference - queue, ended - inference)
  span.part('infer', ended - inference, ended)
}

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value)

const units = [
  [1000, 's'],
  [1, 'ms'],
  [1e-3, 'µs'],
] as const

/** Milliseconds as the reference writes them: `1.234567s`, `12.5ms`, `3.25µs`, `17ns`. */
export function duration(milliseconds: number): string {
  const [size, unit] = units.find(([least]) => milliseconds >= least) ?? ([1e-6, 'ns'] as const)
  return `${Number((milliseconds / size).toFixed(6))}${unit}`
}
