import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/**
 * Lets a closing server finish at once when its last answer is out: connections without an open request are closed, the
 * others after their answer. Left alone, a connection kept alive, or one that never asked anything, holds a server back
 * until it times out.
 */
export function drainOnClose(app: FastifyInstance): void {
  const open = new Map<Socket, number>()
  let closing = false
  app.server.on('connection', (socket: Socket) => {
    if (closing) {
      socket.destroy()
      return
    }
    open.set(socket, 0)
    socket.once('close', () => open.delete(socket))
  })
  app.server.on('request', ({ socket }, response) => {
    open.set(socket, (open.get(socket) ?? 0) + 1)
    response.once('close', () => {
      if (!open.has(socket)) return
      const left = open.get(socket)! - 1
      open.set(socket, left)
      if (closing && left === 0) socket.destroySoon()
    })
  })
  app.addHook('preClose', async () => {
    closing = true
    for (const [socket, requests] of open) if (requests === 0) socket.destroy()
  })
}
