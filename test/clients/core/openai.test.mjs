import assert from 'node:assert/strict'
import { test } from 'node:test'
import OpenAI from 'openai'

const client = new OpenAI({ baseURL: `${process.env.LOQUENT_URL}/v1`, apiKey: 'any', maxRetries: 0 })
const model = 'tgi'
const messages = [{ role: 'user', content: 'What is a river?' }]
const greedy = { model, messages, max_tokens: 12, temperature: 0 }

test('chat.completions.create', async () => {
  const answer = await client.chat.completions.create(greedy)
  assert.equal(answer.object, 'chat.completion')
  assert.equal(answer.choices[0].message.role, 'assistant')
  assert.ok(answer.choices[0].message.content.length > 0)
  assert.ok(['length', 'stop'].includes(answer.choices[0].finish_reason))
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
})

test('chat.completions.create, streamed, says the same and tells its usage', async () => {
  const whole = await client.chat.completions.create(greedy)
  const stream = await client.chat.completions.create({
    ...greedy,
    stream: true,
    stream_options: { include_usage: true },
  })
  let text = ''
  let usage
  let reason
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? ''
    reason = chunk.choices[0]?.finish_reason ?? reason
    usage = chunk.usage ?? usage
  }
  assert.equal(text, whole.choices[0].message.content)
  assert.equal(reason, whole.choices[0].finish_reason)
  assert.deepEqual(usage, whole.usage)
})

test('chat.completions.stream, the helper', async () => {
  const whole = await client.chat.completions.create(greedy)
  const runner = client.chat.completions.stream(greedy)
  assert.equal((await runner.finalMessage()).content, whole.choices[0].message.content)
})

test('what clients send and the reference server refuses: stop as a text, formats of OpenAI, null options', async () => {
  const whole = (await client.chat.completions.create(greedy)).choices[0].message.content
  const stop = whole.trim().split(' ')[1]
  const stopped = await client.chat.completions.create({
    ...greedy,
    stop,
    stream_options: null,
    response_format: { type: 'text' },
  })
  assert.ok(stopped.choices[0].message.content.length < whole.length)
})

test('logprobs, seeds, several answers', async () => {
  const drawn = { ...greedy, temperature: 1, seed: 7, logprobs: true, top_logprobs: 2 }
  const [a, b] = [await client.chat.completions.create(drawn), await client.chat.completions.create(drawn)]
  assert.equal(a.choices[0].message.content, b.choices[0].message.content)
  const { content } = a.choices[0].logprobs
  assert.equal(content.length, a.usage.completion_tokens)
  assert.equal(content[0].top_logprobs.length, 2)
  assert.ok(content[0].logprob <= 0)
})

test('completions.create: one prompt, several, streamed', async () => {
  const request = { model, prompt: 'Once upon a time', max_tokens: 8, temperature: 0 }
  const one = await client.completions.create(request)
  assert.equal(one.object, 'text_completion')
  const two = await client.completions.create({ ...request, prompt: ['Once upon a time', 'The river'] })
  assert.deepEqual(
    two.choices.map((c) => c.index),
    [0, 1],
  )
  assert.equal(two.choices[0].text, one.choices[0].text)
  let text = ''
  for await (const chunk of await client.completions.create({ ...request, stream: true }))
    text += chunk.choices[0]?.text ?? ''
  assert.equal(text, one.choices[0].text)
})

test('models', async () => {
  const { data } = await client.models.list()
  assert.equal(data.length, 1)
  assert.equal((await Array.fromAsync?.(client.models.list()))?.length ?? 1, 1)
})

test('errors have their classes, also before a stream', async () => {
  await assert.rejects(
    client.chat.completions.create({ ...greedy, max_tokens: 1_000_000 }),
    OpenAI.UnprocessableEntityError,
  )
  await assert.rejects(client.completions.create({ model, prompt: [] }), OpenAI.APIError)
  await assert.rejects(client.post('/nothing'), OpenAI.NotFoundError)
  await assert.rejects(async () => {
    for await (const _ of await client.chat.completions.create({ ...greedy, max_tokens: 1_000_000, stream: true }));
  }, OpenAI.APIError)
})

test('a stream that is left does not hold the server', async () => {
  const stream = await client.chat.completions.create({ ...greedy, max_tokens: 200, stream: true })
  for await (const _ of stream) break
  assert.ok((await client.chat.completions.create(greedy)).id !== undefined)
})
