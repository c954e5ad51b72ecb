import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './load.ts'

test('maxInputTokens limits prompts, and must leave room for an answer', async () => {
  const wrong = load(undefined, { maxTotalTokens: 64, maxInputTokens: 64 })
  await assert.rejects(wrong, { code: 'option.invalid' })
  const llm = await load(undefined, { maxTotalTokens: 64, maxInputTokens: 4 })
  try {
    assert.equal(llm.info.maxInputTokens, 4)
    await llm.generate([5, 6, 7, 8], { maxNewTokens: 1 })
    const message = '`inputs` must have less than 4 tokens. Given: 5'
    await assert.rejects(llm.generate([5, 6, 7, 8, 9], { maxNewTokens: 1 }), { message })
  } finally {
    await llm.close()
  }
})
