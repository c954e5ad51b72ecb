import type { ChatTemplate, TemplateMessage } from '../text/chat-template.ts'
import type { ChatMessage, ChatToolCall } from './types.ts'

/**
 * The prompt a template makes of a conversation. If the last message is the assistant's, the prompt is cut after the last
 * place its content stands in it: the model goes on with that message instead of beginning another.
 */
export function renderChat(template: ChatTemplate, messages: readonly ChatMessage[]): string {
  const knowsCalls = template.mentions('tool_calls')
  const prompt = template.render(
    messages.map((message) => messageFor(message, knowsCalls)),
    { addGenerationPrompt: true },
  )
  const last = messages.at(-1)
  return last?.role === 'assistant' ? cutAfter(prompt, last.content) : prompt
}

function cutAfter(prompt: string, content: string): string {
  const at = content === '' ? -1 : prompt.lastIndexOf(content)
  return at < 0 ? prompt : prompt.slice(0, at + content.length).trimEnd()
}

/** Calls go to a template that knows them, with their arguments as values; any other would lose them but in the content. */
function messageFor(message: ChatMessage, knowsCalls: boolean): TemplateMessage {
  const { tool_calls, ...rest } = message
  if (!tool_calls) return rest
  const known = { ...rest, tool_calls: tool_calls.map(callFor) }
  return knowsCalls ? known : { ...rest, content: rest.content || JSON.stringify(tool_calls.map(writtenCall)) }
}

const callFor = ({ id, type, function: f }: ChatToolCall) => ({
  id,
  type,
  function: { ...f, arguments: parsedArguments(f.arguments) },
})

/** Clients send arguments as JSON text, templates write them as JSON themselves. */
function parsedArguments(given: unknown): unknown {
  if (typeof given !== 'string') return given
  try {
    return JSON.parse(given)
  } catch {
    return given
  }
}

/** As the reference server writes calls, whose templates see nothing but content. */
function writtenCall({ id, type, function: f }: ChatToolCall) {
  const given = typeof f.arguments === 'string' ? f.arguments : JSON.stringify(f.arguments)
  return { id, type, function: { description: f.description ?? null, name: f.name, arguments: given } }
}
