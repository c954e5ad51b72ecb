import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OpenAI } from '@llamaindex/openai'
import { Settings, SimpleChatEngine } from 'llamaindex'

const llm = new OpenAI({
  apiKey: 'any',
  model: 'tgi',
  temperature: 0,
  maxTokens: 10,
  maxRetries: 0,
  additionalSessionOptions: { baseURL: `${process.env.LOQUENT_URL}/v1` },
})
const messages = [{ role: 'user', content: 'What is a river?' }]

test('llamaindex: chat, whole and streamed', async () => {
  const whole = await llm.chat({ messages })
  assert.ok(whole.message.content.length > 0)
  let text = ''
  for await (const chunk of await llm.chat({ messages, stream: true })) text += chunk.delta
  assert.equal(text, whole.message.content)
})

test('llamaindex: complete', async () => {
  const { text } = await llm.complete({ prompt: 'Name a color.' })
  assert.ok(text.length > 0)
})

test('llamaindex: a chat engine, whole and streamed', async () => {
  Settings.llm = llm
  const engine = new SimpleChatEngine()
  const first = await engine.chat({ message: 'What is a river?' })
  assert.ok(first.message.content.length > 0)
  let text = ''
  for await (const chunk of await new SimpleChatEngine().chat({ message: 'What is a river?', stream: true }))
    text += chunk.delta
  assert.equal(text, first.message.content)
})
