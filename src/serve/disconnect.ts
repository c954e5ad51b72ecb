import type { ServerResponse } from 'node:http'

/**
 * Aborts when the client goes away before its answer is whole. The response says so, not the request: a request whose
 * body has been read closes at once.
 */
export function disconnectSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  if (response.destroyed) controller.abort()
  response.once('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  return controller.signal
}
