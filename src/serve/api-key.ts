import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** POST routes that need no key, as their users of the reference server know them. */
const openPosts: ReadonlySet<string> = new Set(['/chat_tokenize'])

/** Whether a route asks for a key: what spends the model's time does, what tells about the server does not. */
const isProtected = (method: string, route: string): boolean =>
  method !== 'GET' && method !== 'HEAD' && !openPosts.has(route)

/** The header's whole value, in any case. */
const digest = (value: string): Buffer => createHash('sha256').update(value.toLowerCase()).digest()

/** Whether a request may use a route. */
export type Gate = (request: FastifyRequest, method: string, route: string) => boolean

/**
 * Lets in whoever carries one of the keys (all, if there are none). Digests are compared, all of them and each whole, so
 * that the time taken tells nothing about a key.
 */
export function apiKeyGate(keys: readonly string[]): Gate {
  const wanted = keys.map((key) => digest(`Bearer ${key}`))
  return (request, method, route) => {
    if (wanted.length === 0 || !isProtected(method, route)) return true
    const given = digest(request.headers.authorization ?? '')
    return wanted.filter((key) => timingSafeEqual(key, given)).length > 0
  }
}

/** Hook of all routes. A route is known by how it was mounted, not by how it is written: `/%67enerate` is `/generate`. */
export const requireKey =
  (gate: Gate) =>
  async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const route = request.routeOptions.url
    return route === undefined || gate(request, request.method, route) ? undefined : reply.code(401).send()
  }
