import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../base/errors.ts'
import { isRecord, type JsonRecord, recordOf, stringOf } from '../base/record.ts'
import type { NamedTemplate, TemplateSource } from './chat-template.ts'
import { parseObject } from './json.ts'

/** What the files beside tokenizer.json say. */
export interface TextSettings {
  readonly bosToken: string | undefined
  readonly eosToken: string | undefined
  readonly template: TemplateSource | undefined
  /** `eos_token_id` of generation_config.json. */
  readonly generationEos: number | readonly number[] | undefined
}

export const EMPTY_SETTINGS: TextSettings = {
  bosToken: undefined,
  eosToken: undefined,
  template: undefined,
  generationEos: undefined,
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    return fail('model.not_found', { path: file, reason: (error as Error).message }, error)
  }
}

async function readJson(file: string): Promise<JsonRecord> {
  const text = await readOptional(file)
  return text === undefined ? {} : parseObject(text, file)
}

/** A special token is its text, or an object with its text. */
const tokenText = (value: unknown): string | undefined => stringOf(value) ?? stringOf(recordOf(value)['content'])

const isNamed = (value: unknown): value is NamedTemplate =>
  isRecord(value) && typeof value['name'] === 'string' && typeof value['template'] === 'string'

function templateOf(value: unknown, file: string): TemplateSource | undefined {
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined
  if (Array.isArray(value) && value.every(isNamed)) return value.length > 0 ? value : undefined
  return fail('tokenizer.unsupported', {
    reason: `${file}: chat_template is neither text nor a list of named templates`,
  })
}

const isId = (value: unknown): value is number => Number.isInteger(value)

function eosOf(value: unknown): number | readonly number[] | undefined {
  if (isId(value)) return value
  return Array.isArray(value) ? value.filter(isId) : undefined
}

/** tokenizer_config.json, the model's or the one given; a given one must be there. */
async function readConfig(directory: string | undefined, given: string | undefined): Promise<[JsonRecord, string]> {
  if (given === undefined) {
    const file = join(directory ?? '', 'tokenizer_config.json')
    return [await readJson(file), file]
  }
  const text = await readOptional(given)
  return [parseObject(text ?? fail('model.not_found', { path: given, reason: 'no such file' }), given), given]
}

/** The files a template may have to itself, the newer form first. */
async function templateFile(directory: string): Promise<TemplateSource | undefined> {
  const jinja = await readOptional(join(directory, 'chat_template.jinja'))
  if (jinja !== undefined) return jinja
  const file = join(directory, 'chat_template.json')
  return templateOf((await readJson(file))['chat_template'], file)
}

/**
 * Reads tokenizer_config.json (or `configPath` in its place), special_tokens_map.json, generation_config.json and the
 * template files. Template: the given file, then chat_template.jinja, chat_template.json, tokenizer_config.json.
 */
export async function readSettings(
  directory: string | undefined,
  configPath: string | undefined,
): Promise<TextSettings> {
  const [config, file] = await readConfig(directory, configPath)
  const inside = async (name: string): Promise<JsonRecord> =>
    directory === undefined ? {} : readJson(join(directory, name))
  const [special, generation] = await Promise.all([inside('special_tokens_map.json'), inside('generation_config.json')])
  const own = templateOf(config['chat_template'], file)
  const beside = directory === undefined ? undefined : await templateFile(directory)
  return {
    bosToken: tokenText(config['bos_token']) ?? tokenText(special['bos_token']),
    eosToken: tokenText(config['eos_token']) ?? tokenText(special['eos_token']),
    template: configPath === undefined ? (beside ?? own) : (own ?? beside),
    generationEos: eosOf(generation['eos_token_id']),
  }
}
