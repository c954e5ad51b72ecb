import { fail } from '../../base/errors.ts'
import type { ChatRequest, ContentPart, Message } from '../../wire/openai.ts'
import type { ServeSettings } from '../options.ts'

/**
 * Refuses the chats of one request when together they have more messages or bytes than the settings allow: a template is
 * rendered in one piece, and nobody else is heard meanwhile.
 */
export function checkChatSize(
  chats: readonly Pick<ChatRequest, 'messages'>[],
  { maxChatMessages, maxChatBytes }: Pick<ServeSettings, 'maxChatMessages' | 'maxChatBytes'>,
): void {
  const count = chats.reduce((sum, { messages }) => sum + messages.length, 0)
  if (count > maxChatMessages) tooMuch('messages', maxChatMessages, count)
  const bytes = chats.flatMap(({ messages }) => messages).reduce((sum, message) => sum + bytesOf(message), 0)
  if (bytes > maxChatBytes) tooMuch('bytes of messages', maxChatBytes, bytes)
}

const tooMuch = (what: string, most: number, given: number): never =>
  fail('request.invalid', { reason: `\`messages\` must have at most ${most} ${what}. Given: ${given}` })

/** Of its text: names and roles are bounded by the body, calls count as the JSON they are. */
function bytesOf({ content, tool_calls }: Message): number {
  const text = typeof content === 'string' ? content : (content ?? []).map(partText).join('')
  return Buffer.byteLength(text) + (tool_calls ? Buffer.byteLength(JSON.stringify(tool_calls)) : 0)
}

/** Images are written as models with eyes read them; others see the text. */
export const partText = (part: ContentPart): string => (part.type === 'text' ? part.text : `![](${part.image_url.url})`)
