import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InferenceClient } from '@huggingface/inference'
import { InferenceClient as InferenceClient3 } from '@huggingface/inference-3'

const endpointUrl = process.env.LOQUENT_URL
const inputs = 'Once upon a time'
const parameters = { max_new_tokens: 8 }
const chat = { messages: [{ role: 'user', content: 'What is a river?' }], max_tokens: 8, temperature: 0 }

for (const [version, Client] of Object.entries({ 3: InferenceClient3, 4: InferenceClient })) {
  const client = new Client('hf_any', { endpointUrl, retry_on_error: false })

  test(`@huggingface/inference ${version}: chats`, async () => {
    const whole = await client.chatCompletion(chat)
    assert.ok(whole.choices[0].message.content.length > 0)
    let text = ''
    for await (const chunk of client.chatCompletionStream(chat)) text += chunk.choices[0]?.delta.content ?? ''
    assert.equal(text, whole.choices[0].message.content)
  })

  test(`@huggingface/inference ${version}: text`, async () => {
    const { generated_text: text } = await client.textGeneration({ inputs, parameters })
    assert.ok(text.length > 0)
    let streamed = ''
    for await (const event of client.textGenerationStream({ inputs, parameters })) {
      // Version 4 hands on the chunks of /v1/completions as they are.
      streamed += version === '3' ? event.token.text : (event.choices[0]?.text ?? '')
    }
    assert.ok(streamed.length > 0)
  })

  test(`@huggingface/inference ${version}: errors`, async () => {
    await assert.rejects(client.chatCompletion({ ...chat, max_tokens: 1_000_000 }), (error) => {
      assert.match(
        `${error.message} ${JSON.stringify(error.httpResponse?.body ?? '')}`,
        /max_new_tokens|max_tokens|tokens/,
      )
      return true
    })
    await assert.rejects(client.textGeneration({ inputs, parameters: { max_new_tokens: 1_000_000 } }))
    await assert.rejects(async () => {
      for await (const _ of client.textGenerationStream({ inputs, parameters: { max_new_tokens: 1_000_000 } }));
    })
  })
}

test('version 3 asks POST / and version 4 /v1/completions: one seed, one text', async () => {
  const drawn = { inputs, parameters: { ...parameters, seed: 3, temperature: 0.7 } }
  const [a, b] = await Promise.all(
    [InferenceClient3, InferenceClient].map((Client) => new Client('hf_any', { endpointUrl }).textGeneration(drawn)),
  )
  // POST / puts the prompt in front unless told otherwise.
  assert.equal(a.generated_text, inputs + b.generated_text)
})
