import type { FastifyInstance } from 'fastify'
import {
  type InvocationRequest,
  InvocationRequestSchema,
  type VertexRequest,
  VertexRequestSchema,
} from '../../wire/cloud.ts'
import { compileReading, type Reading } from '../../wire/validate.ts'
import { accept } from '../accept.ts'
import { requireJson } from '../body.ts'
import { sendJson } from '../json-reply.ts'
import type { Context } from '../tgi/context.ts'
import { invoke } from './invocations.ts'
import { kserveRoutes } from './kserve.ts'
import { vertex } from './vertex.ts'

const readInvocation: (text: string) => Reading<InvocationRequest> = compileReading(InvocationRequestSchema)
const readVertex: (text: string) => Reading<VertexRequest> = compileReading(VertexRequestSchema)

/** The adapters for clouds. */
export function cloudRoutes(app: FastifyInstance, context: Context): void {
  const { settings } = context
  app.post('/invocations', { onRequest: requireJson }, async (request, reply) =>
    invoke(context, accept(settings, request, reply, readInvocation), request, reply),
  )
  for (const path of new Set(['/vertex', settings.vertexPredictRoute ?? '/vertex'])) {
    app.post(path, { onRequest: requireJson }, async (request, reply) =>
      sendJson(reply, await vertex(context, accept(settings, request, reply, readVertex), request, reply)),
    )
  }
  kserveRoutes(app, context)
}
