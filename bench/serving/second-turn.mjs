import { stream } from './client.mjs'
import { firstTokenOf, median } from './measure.mjs'
import { promptOf } from './prompts.mjs'
import { startLoquent } from './server.mjs'

const chats = 5
const firstTokens = 2000
const answerTokens = 48
const nextTokens = 24

/** Time to the first token of the second turn of a chat of 2,000 tokens, against the first turn's. */
export async function secondTurn({ model, threads, random, say }) {
  const server = await startLoquent({ model, threads, args: ['--max-total-tokens', '4096'] })
  const turns = []
  try {
    for (let i = 0; i < chats; i++) {
      const prompt = promptOf(random, firstTokens)
      const first = await stream(server, { prompt, maxTokens: answerTokens })
      const again = `${prompt}${first.text}\n\n${promptOf(random, nextTokens)}`
      const second = await stream(server, { prompt: again, maxTokens: 8 })
      turns.push({ first: firstTokenOf(first), second: firstTokenOf(second), tokens: second.inputTokens })
      say(`chat ${i + 1}: ${turns[i].first.toFixed(0)} ms, then ${turns[i].second.toFixed(0)} ms`)
    }
  } finally {
    await server.stop()
  }
  const [first, second] = [median(turns.map((t) => t.first)), median(turns.map((t) => t.second))]
  return {
    tokens: turns[0].tokens,
    firstTurnMs: first,
    secondTurnMs: second,
    share: second / first,
    wanted: 'share <= 0.1',
    holds: second / first <= 0.1,
  }
}
