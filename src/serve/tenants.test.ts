import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from '../library/index.ts'
import { createServer } from './server.ts'

const inputs = 'Once upon a time there was a small house on a hill, and in it lived a cat who liked to read. '.repeat(3)

test('a prompt is computed once for each key, and once for all choices of best_of', async () => {
  const llm = await load()
  const app = createServer(llm, { logLevel: 'silent', apiKeys: ['a', 'b', 'c'] })
  const reusedBy = async (key: string, parameters: object) => {
    const before = (await llm.stats()).prefix
    const response = await app.inject({
      method: 'POST',
      url: '/generate',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      payload: JSON.stringify({ inputs, parameters: { max_new_tokens: 2, ...parameters } }),
    })
    assert.equal(response.statusCode, 200)
    const after = (await llm.stats()).prefix
    return { text: response.json().generated_text, reused: after.reused - before.reused }
  }
  try {
    const [first, again, other, otherAgain] = [
      await reusedBy('a', {}),
      await reusedBy('a', {}),
      await reusedBy('b', {}),
      await reusedBy('b', {}),
    ]
    assert.deepEqual([first.reused, other.reused], [0, 0])
    assert(again.reused >= 32 && otherAgain.reused === again.reused, `${again.reused} tokens were found`)
    assert.deepEqual(new Set([first, again, other, otherAgain].map((answer) => answer.text)).size, 1)
    // In a tenant's first request of best_of, the second choice waits for the first to compute their prompt.
    const { reused } = await reusedBy('c', { best_of: 2, do_sample: true })
    assert.equal(reused, again.reused)
  } finally {
    await app.close()
    await llm.close()
  }
})
