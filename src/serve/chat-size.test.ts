import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { LiveServer } from './testing/live-server.ts'

const maxChatMessages = 20
const maxChatBytes = 400

let live: LiveServer
before(async () => {
  live = await LiveServer.start({ maxChatMessages, maxChatBytes })
})
after(() => live.close())

const chat = (count: number, content: unknown = 'x') => Array.from({ length: count }, () => ({ role: 'user', content }))

/** Every door to a chat template. */
const doors: readonly (readonly [path: string, body: (messages: object[]) => object])[] = [
  ['/v1/chat/completions', (messages) => ({ messages, max_tokens: 1 })],
  ['/v1/chat/completions', (messages) => ({ messages, max_tokens: 1, stream: true })],
  ['/chat_tokenize', (messages) => ({ messages })],
  ['/invocations', (messages) => ({ messages, max_tokens: 1 })],
  ['/vertex', (messages) => ({ instances: [{ messages, max_tokens: 1 }] })],
]

for (const [path, body] of doors) {
  test(`${path}: as many messages and bytes as are allowed, and not one more`, async () => {
    const rendered = live.llm.rendered
    for (const [messages, reason] of [
      [chat(maxChatMessages + 1), 'at most 20 messages. Given: 21'],
      [chat(1, 'é'.repeat(maxChatBytes / 2 + 1)), 'at most 400 bytes of messages. Given: 402'],
      [chat(2, [{ type: 'text', text: 'x'.repeat(201) }]), 'at most 400 bytes of messages. Given: 402'],
    ] as const) {
      const response = await live.post(path, body(messages))
      assert.equal(response.status, 422)
      assert.match(await response.text(), new RegExp(`\`messages\` must have ${reason}`))
    }
    assert.equal(live.llm.rendered, rendered, 'nothing was rendered')
    for (const messages of [chat(maxChatMessages), chat(1, 'x'.repeat(maxChatBytes))]) {
      assert.equal((await live.post(path, body(messages))).status, 200)
    }
  })
}

test('the chats of one request count together', async () => {
  const instances = Array.from({ length: 3 }, () => ({ messages: chat(7), max_tokens: 1 }))
  assert.equal((await live.post('/vertex', { instances })).status, 422)
  assert.equal((await live.post('/vertex', { instances: instances.slice(1) })).status, 200)
})

test('calls in the history count as the JSON they are', async () => {
  const call = { id: '1', type: 'function', function: { name: 'f', arguments: { text: 'x'.repeat(maxChatBytes) } } }
  const messages = [{ role: 'assistant', tool_calls: [call] }]
  assert.equal((await live.post('/chat_tokenize', { messages })).status, 422)
})
