import { fail } from '../../base/errors.ts'
import type { ChatMessage, ChatToolCall } from '../../library/types.ts'
import type { ChatRequest, Message, ResponseFormat, ToolCall } from '../../wire/openai.ts'
import { toolRefusal } from '../refusal.ts'
import type { Context } from '../tgi/context.ts'
import { grammarFault } from '../tgi/grammar.ts'
import type { Job } from '../tgi/job.ts'
import { checkChatSize, partText } from './chat-size.ts'
import { answerParameters, choiceCount, samplingOf } from './sampling.ts'

/** A chat as the engine's work: one prompt, one job an answer. */
export interface ChatWork {
  readonly prompt: string
  readonly jobs: readonly Job[]
}

/** Checks what the routes of a chat check before the parameters, and renders its prompt. */
export function promptOf({ llm, settings }: Context, body: ChatRequest): string {
  checkTools(body)
  checkChatSize([body], settings)
  return llm.render(body.messages.map(messageOf))
}

export function chatWork(context: Context, body: ChatRequest): ChatWork {
  const prompt = promptOf(context, body)
  checkUnsupported(body)
  const count = choiceCount(body, context.settings.maxConcurrentRequests)
  const parameters = {
    ...samplingOf(body),
    max_new_tokens: body.max_completion_tokens ?? body.max_tokens,
    repetition_penalty: body.presence_penalty ? body.presence_penalty + 2 : null,
    top_n_tokens: body.top_logprobs,
  }
  const jobs = Array.from({ length: count }, (_, index) => ({
    inputs: prompt,
    parameters: answerParameters(parameters, index),
    addSpecialTokens: false,
  }))
  return { prompt, jobs }
}

function messageOf({ role, content, name, tool_calls, tool_call_id }: Message): ChatMessage {
  return {
    role,
    content: typeof content === 'string' ? content : (content ?? []).map(partText).join(''),
    ...(name !== null && { name }),
    ...(tool_calls?.length && { tool_calls: tool_calls.map(callOf) }),
    ...(tool_call_id !== null && { tool_call_id }),
  }
}

const callOf = ({ id, type, function: f }: ToolCall): ChatToolCall => ({
  id,
  type,
  function: {
    name: f.name,
    ...(f.description !== null && { description: f.description }),
    arguments: f.arguments ?? f.parameters,
  },
})

/** Tools that are not to be used, or none at all, are no tools. */
function checkTools({ tools, tool_choice: choice, response_format: format }: ChatRequest): void {
  if (tools === null) return
  if (format !== null && format.type !== 'text') throw toolRefusal('Grammar and tools are mutually exclusive')
  if (choice === 'none' || tools.length === 0) return
  const name = typeof choice === 'object' ? choice?.function.name : choice
  const free = name === undefined || name === 'auto' || name === 'required'
  if (!free && !tools.some((tool) => tool.function.name === name)) {
    throw toolRefusal(`Tool with name ${name} not found`)
  }
  throw toolRefusal('tools are not supported yet')
}

function checkUnsupported({ response_format: format, logit_bias: bias }: ChatRequest): void {
  if (format !== null && format.type !== 'text') unsupportedFormat(format)
  if (bias !== null && !Array.isArray(bias) && Object.values(bias).some((value) => value !== 0)) {
    unsupported('`logit_bias`')
  }
}

/** The reference server's forms are grammars, and checked as such. */
function unsupportedFormat(format: ResponseFormat): never {
  const reason = 'value' in format ? grammarFault(format) : undefined
  if (reason !== undefined) fail('request.invalid', { reason })
  return unsupported(`\`response_format\` of type \`${format.type}\``)
}

const unsupported = (what: string): never => fail('request.invalid', { reason: `${what} is not supported yet` })
