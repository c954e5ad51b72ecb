// A chat on the terminal with the embedded model, or with the one you name: node examples/chat.mjs [MODEL]
import { createInterface } from 'node:readline/promises'
import { load } from 'loquent'

const llm = await load(process.argv[2])
const messages = []
const terminal = createInterface({ input: process.stdin, output: process.stdout })
console.log(`${llm.info.modelId} on ${llm.info.backend}; an empty line ends`)
for (;;) {
  const content = await terminal.question('> ').catch(() => '')
  if (content === '') break
  messages.push({ role: 'user', content })
  for await (const { token, final } of llm.chatStream(messages, { maxNewTokens: 200 })) {
    if (!token.special) process.stdout.write(token.text)
    if (final) messages.push({ role: 'assistant', content: final.text })
  }
  console.log()
}
terminal.close()
await llm.close()
