import type { FastifyInstance } from 'fastify'
import { openapi } from '../../wire/openapi.ts'
import { sendJson } from '../json-reply.ts'
import type { ServeSettings } from '../options.ts'
import { documented } from './documented.ts'
import { docsPage } from './page.ts'

/** The document of all routes, made of the schemas that validate, and a page that shows it. */
export function docsRoutes(app: FastifyInstance, { version }: ServeSettings): void {
  const description = "Text generation: TGI's routes and OpenAI's, with an engine of its own."
  const document = JSON.stringify(openapi({ title: 'Loquent', version, description }, documented))
  app.get('/api-doc/openapi.json', async (_request, reply) => sendJson(reply, document))
  app.get('/docs', async (_request, reply) => reply.redirect('/docs/', 303))
  app.get('/docs/', async (_request, reply) => reply.type('text/html; charset=utf-8').send(docsPage))
}
