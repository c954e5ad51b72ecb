import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HuggingFaceInference } from '@langchain/community/llms/hf'

const settings = { apiKey: 'any', endpointUrl: process.env.LOQUENT_URL, maxTokens: 8, maxRetries: 0 }

test('@langchain/community: HuggingFaceInference', async () => {
  const text = await new HuggingFaceInference(settings).invoke('Once upon a time')
  assert.ok(text.length > 0)
})

test('@langchain/community: errors', async () => {
  await assert.rejects(new HuggingFaceInference({ ...settings, maxTokens: 1_000_000 }).invoke('x'))
})
