import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, streamText } from 'ai'

const provider = createOpenAICompatible({
  name: 'loquent',
  baseURL: `${process.env.LOQUENT_URL}/v1`,
  includeUsage: true,
})
const settings = { prompt: 'What is a river?', temperature: 0, maxOutputTokens: 10, maxRetries: 0 }

for (const [name, model] of Object.entries({ chat: provider('tgi'), completion: provider.completionModel('tgi') })) {
  test(`ai: ${name}, whole and streamed`, async () => {
    const whole = await generateText({ model, ...settings })
    assert.ok(whole.text.length > 0)
    assert.ok(whole.usage.outputTokens > 0 && whole.usage.inputTokens > 0)
    assert.ok(['length', 'stop'].includes(whole.finishReason), whole.finishReason)
    const stream = streamText({ model, ...settings })
    let text = ''
    for await (const piece of stream.textStream) text += piece
    // As the reference server does, the last piece of a streamed completion has the text of the token that ended it.
    assert.equal(name === 'completion' ? text.replace(/<\|[a-z_]+\|>$/, '') : text, whole.text)
    assert.deepEqual((await stream.usage).outputTokens, whole.usage.outputTokens)
  })

  test(`ai: ${name}, errors`, async () => {
    await assert.rejects(
      generateText({ model, ...settings, maxOutputTokens: 1_000_000 }),
      (error) => error.statusCode === 422,
    )
  })
}
