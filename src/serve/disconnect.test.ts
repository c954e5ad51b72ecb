import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { disconnectSignal } from './disconnect.ts'

async function exchange(): Promise<{ response: ServerResponse; hangUp: () => void; close: () => void }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  const [, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse]
  socket.resume()
  return { response, hangUp: () => socket.destroy(), close: () => server.close() }
}

test('a client that leaves aborts the signal, one that gets its answer does not', async () => {
  const left = await exchange()
  const signal = disconnectSignal(left.response)
  assert.equal(signal.aborted, false)
  left.hangUp()
  await once(left.response, 'close')
  assert.equal(signal.aborted, true)
  left.close()
  const answered = await exchange()
  const quiet = disconnectSignal(answered.response)
  answered.response.end('x')
  await once(answered.response, 'close')
  assert.equal(quiet.aborted, false)
  answered.close()
})

test('a client that had left before is noticed', async () => {
  const { response, hangUp, close } = await exchange()
  hangUp()
  await once(response, 'close')
  assert.equal(disconnectSignal(response).aborted, true)
  close()
})
