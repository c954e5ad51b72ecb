import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { KserveRequest } from '../../wire/cloud.ts'
import { KserveRequestSchema } from '../../wire/cloud.ts'
import { compileReading, type Reading } from '../../wire/validate.ts'
import { accept } from '../accept.ts'
import { requireJson } from '../body.ts'
import { disconnectSignal } from '../disconnect.ts'
import { sendJson } from '../json-reply.ts'
import { Refusal } from '../refusal.ts'
import type { Context } from '../tgi/context.ts'
import { runAll } from '../tgi/job.ts'
import { orIncomplete } from './incomplete.ts'

const readInfer: (text: string) => Reading<KserveRequest> = compileReading(KserveRequestSchema)

interface Params {
  readonly model: string
  readonly version: string
}

/** The routes of the open inference protocol, version 2. Any model and version names the one there is. */
export function kserveRoutes(app: FastifyInstance, context: Context): void {
  const { settings } = context
  const live = JSON.stringify({ live: true })
  const server = { name: 'text-generation-inference', version: settings.version }
  const about = JSON.stringify({ ...server, extensions: ['health', 'models', 'metrics'] })
  const one = '/v2/models/:model/versions/:version'
  for (const path of ['/v2/health/live', '/v2/health/ready', `${one}/ready`]) {
    app.get(path, async (_request, reply) => sendJson(reply, live))
  }
  app.get('/v2', async (_request, reply) => sendJson(reply, about))
  app.get<{ Params: Params }>(one, async ({ params: { model, version } }, reply) =>
    sendJson(reply, JSON.stringify({ name: model, version, extensions: ['infer', 'ready'] })),
  )
  app.post(`${one}/infer`, { onRequest: requireJson }, async (request, reply) =>
    sendJson(reply, await infer(context, accept(settings, request, reply, readInfer), request, reply)),
  )
}

/** Each input is the bytes of a prompt, each output those of its text, under the name asked for in its place. */
async function infer(
  context: Context,
  { id, parameters, inputs, outputs }: KserveRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<string> {
  if (inputs.length !== outputs.length) throw new Refusal(422, 'length mismatch', 'Inputs and outputs length mismatch')
  const jobs = inputs.map(({ data }) => ({ inputs: textOf(data), parameters }))
  const done = await orIncomplete(runAll(context, request, jobs, disconnectSignal(reply.raw)))
  const answers = done.map(({ generation }, i) => {
    const data = [...Buffer.from(generation.text)]
    return { name: outputs[i]!.name, shape: [1, data.length], datatype: 'BYTES', data }
  })
  return JSON.stringify({ id, outputs: answers })
}

function textOf(data: readonly number[]): string {
  const bytes = Buffer.from(data)
  if (!isUtf8(bytes)) throw new Refusal(422, 'utf8', `invalid utf-8 sequence from index ${firstInvalid(bytes)}`)
  return bytes.toString()
}

/** Index of the first byte that begins no character. */
function firstInvalid(bytes: Buffer): number {
  let valid = 0
  for (const char of bytes.toString()) {
    const size = Buffer.byteLength(char)
    if (char === '\ufffd' && !bytes.subarray(valid, valid + size).equals(Buffer.from(char))) return valid
    valid += size
  }
  return valid
}
