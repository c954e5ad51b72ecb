import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'

/** The page is one file without anything from elsewhere; a page that asks for more is refused by its own policy. */
const page = readFileSync(new URL('../../assets/ui.html', import.meta.url), 'utf8')
const policy =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'"

/** `GET /ui`: the playground. */
export function uiRoute(app: FastifyInstance): void {
  app.get('/ui', (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', policy).send(page),
  )
}
