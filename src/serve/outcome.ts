import type { FastifyRequest } from 'fastify'
import type { Generation } from '../library/types.ts'
import type { GenerateParameters } from '../wire/tgi.ts'
import { logFailure, logGenerated } from './request-log.ts'

/** A generation that came to its end. `totalMs` from when its route began to work on it. */
export interface Done {
  readonly generation: Generation
  readonly totalMs: number
  readonly parameters: GenerateParameters
  /** Its tokens were told one by one. */
  readonly streamed?: true
}

/**
 * What is told of every generation, or failed request, of every route: the one place to hang metrics and traces on.
 * A body refused before it was a request (400, 413, 415, 422 as text) is not told, nor is a probe.
 */
export interface Observer {
  /** Generations begin: at the door, before they are admitted or checked. */
  began(generations: number): void
  done(request: FastifyRequest, done: Done): void
  failed(request: FastifyRequest, error: unknown): void
}

/** One line a generation. */
export const logObserver: Observer = {
  began: () => {},
  done: (request, { generation, totalMs }) => logGenerated(request, generation, totalMs),
  failed: logFailure,
}

/** Tells all of them, in this order. */
export const observers = (...all: readonly Observer[]): Observer => ({
  began: (generations) => {
    for (const one of all) one.began(generations)
  },
  done: (request, done) => {
    for (const one of all) one.done(request, done)
  },
  failed: (request, error) => {
    for (const one of all) one.failed(request, error)
  },
})
