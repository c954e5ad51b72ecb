import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChatOpenAI, OpenAI } from '@langchain/openai'

const settings = {
  apiKey: 'any',
  model: 'tgi',
  temperature: 0,
  maxTokens: 10,
  maxRetries: 0,
  configuration: { baseURL: `${process.env.LOQUENT_URL}/v1` },
}

test('@langchain/openai: ChatOpenAI', async () => {
  const chat = new ChatOpenAI(settings)
  const whole = await chat.invoke('What is a river?')
  assert.ok(whole.content.length > 0)
  assert.ok(whole.usage_metadata.output_tokens > 0)
  let text = ''
  for await (const chunk of await chat.stream('What is a river?')) text += chunk.content
  assert.equal(text, whole.content)
  const batch = await chat.batch(['What is a river?', 'Name a color.'])
  assert.equal(batch[0].content, whole.content)
})

test('@langchain/openai: OpenAI', async () => {
  const model = new OpenAI(settings)
  const whole = await model.invoke('Once upon a time')
  assert.ok(whole.length > 0)
  let text = ''
  for await (const chunk of await model.stream('Once upon a time')) text += chunk
  assert.equal(text, whole)
})

test('@langchain/openai: errors', async () => {
  await assert.rejects(
    new ChatOpenAI({ ...settings, maxTokens: 1_000_000 }).invoke('x'),
    (error) => error.status === 422,
  )
})
