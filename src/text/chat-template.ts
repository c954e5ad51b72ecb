import { fail } from '../base/errors.ts'
import { compileJinja } from './template-engine.ts'

export interface NamedTemplate {
  readonly name: string
  readonly template: string
}

/** A chat template as model files hold it: one, or several by name ("default", "tool_use"). */
export type TemplateSource = string | readonly NamedTemplate[]

export interface TemplateTokens {
  readonly bosToken?: string | undefined
  readonly eosToken?: string | undefined
}

/** What a template sees of a message; roles and contents are the model's business, more fields pass through. */
export interface TemplateMessage {
  readonly role: string
  readonly content: unknown
}

export interface RenderOptions {
  /** End with what opens the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean
  /** Tool definitions as JSON; picks the template named "tool_use" if there is one. */
  readonly tools?: readonly unknown[] | undefined
}

export interface ChatTemplate {
  /** @throws template.failed with the engine's message, or the text the template gave `raise_exception` */
  render(messages: readonly TemplateMessage[], options?: RenderOptions): string
  /** Whether the template's text has this word, such as `tool_calls`: what it does not know it would leave out. */
  mentions(word: string): boolean
}

type Renderer = ReturnType<typeof compileJinja>

const failed = (error: unknown): never =>
  fail('template.failed', { reason: error instanceof Error ? error.message : String(error) }, error)

function compile(source: string): Renderer {
  try {
    return compileJinja(source)
  } catch (error) {
    return failed(error)
  }
}

function byName(source: TemplateSource): ReadonlyMap<string, Renderer> {
  const named = typeof source === 'string' ? [{ name: 'default', template: source }] : source
  return new Map(named.map(({ name, template }) => [name, compile(template)]))
}

/**
 * Compiles a chat template once. Blocks are trimmed as transformers trims them (`trim_blocks`, `lstrip_blocks`).
 * @throws template.failed when it does not parse, template.missing when none of several is named "default" or "tool_use"
 */
export function compileTemplate(source: TemplateSource, tokens: TemplateTokens): ChatTemplate {
  const renderers = byName(source)
  if (!renderers.has('default') && !renderers.has('tool_use')) fail('template.missing')
  const text = typeof source === 'string' ? source : source.map(({ template }) => template).join('\n')
  return {
    mentions: (word) => text.includes(word),
    render(messages, { addGenerationPrompt = true, tools } = {}) {
      const renderer = (tools ? renderers.get('tool_use') : undefined) ?? renderers.get('default')
      if (!renderer) return fail('template.missing')
      try {
        return renderer({
          messages,
          tools: tools ?? null,
          add_generation_prompt: addGenerationPrompt,
          bos_token: tokens.bosToken,
          eos_token: tokens.eosToken,
        })
      } catch (error) {
        return failed(error)
      }
    },
  }
}
