import type { Random } from './random.ts'

const methods = [
  'GET',
  'POST',
  'HEAD',
  'OPTIONS',
  'PUT',
  'PATCH',
  'DELETE',
  'TRACE',
  'CONNECT',
  'get',
  'G\u0000T',
  '',
  'POST '.repeat(9),
]
const paths = [
  '/',
  '/generate',
  '/v1/chat/completions',
  '/metrics',
  '/v2/models/%/versions/1',
  '/%00',
  '/..%2f',
  '//',
  '*',
  'http://x/',
  '/?',
  '/a b',
  '',
]
const versions = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2', 'HTTP/1.1 x', '']
const headers = [
  'host: x',
  'content-length: 5',
  'content-length: -1',
  'content-length: 99999999999999999999',
  'content-length: 5\r\ncontent-length: 6',
  'transfer-encoding: chunked',
  'transfer-encoding: chunked\r\ncontent-length: 3',
  'transfer-encoding: gzip',
  'content-type: application/json',
  'content-type: \u0001',
  'expect: 100-continue',
  'expect: what',
  'upgrade: websocket\r\nconnection: upgrade',
  'connection: close',
  'authorization: Bearer \u00ff',
  `x-long: ${'y'.repeat(20_000)}`,
  ' folded: x',
  'no colon',
  ': no name',
  'x\u0000y: z',
]
const bodies = [
  '',
  '{}',
  '{"inputs":"x"}',
  '{"inputs":',
  '5\r\n{"a":',
  'zz\r\n',
  '0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  '\u0000'.repeat(99),
]

/** Bytes that may be HTTP, or nearly. */
export function requestBytes(random: Random): Buffer {
  if (random.chance(0.1)) return Buffer.from(random.list(400, () => random.below(256)))
  const line = `${random.pick(methods)} ${random.pick(paths)} ${random.pick(versions)}`
  const fields = random.list(4, () => random.pick(headers))
  const text = [line, ...fields, '', random.pick(bodies)].join(random.pick(['\r\n', '\r\n', '\r\n', '\n', '\r']))
  const whole = random.chance(0.2) ? text + text : text
  return Buffer.from(random.chance(0.2) ? whole.slice(0, random.below(whole.length)) : whole, 'latin1')
}
