import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../base/errors.ts'
import { type ChatTemplate, compileTemplate, type TemplateSource } from './chat-template.ts'
import { Detokenizer, type DetokenizerOptions, decode } from './detokenizer.ts'
import type { GgufMetadata } from './gguf-metadata.ts'
import { convertGgufTokenizer } from './gguf-tokenizer.ts'
import { EMPTY_SETTINGS, readSettings, type TextSettings } from './settings.ts'
import { openTokenizer, type Tokenizer } from './tokenizer.ts'

/** Where a model's text rules are: a directory with Hugging Face files, or the metadata of a GGUF file. */
export interface TextSource {
  readonly directory?: string | undefined
  readonly gguf?: GgufMetadata | undefined
  /** A tokenizer_config.json in place of the model's own: chat template, bos and eos. */
  readonly tokenizerConfigPath?: string | undefined
}

/** All a model knows about text. */
export interface TextModel {
  readonly tokenizer: Tokenizer
  /** undefined: the model has no chat template. */
  readonly template: ChatTemplate | undefined
  /** Ids that end a generation; empty when no file names one. */
  readonly eosIds: readonly number[]
  readonly bosToken: string | undefined
  readonly eosToken: string | undefined
  /** Streaming detokenizer of one generation. */
  detokenizer(options?: DetokenizerOptions): Detokenizer
  /** Text of ids at once; here `atStart` is the default. */
  decode(ids: readonly number[], options?: DetokenizerOptions): string
}

async function readTokenizer(directory: string): Promise<Tokenizer> {
  const file = join(directory, 'tokenizer.json')
  const json = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) =>
    fail(
      'model.not_found',
      { path: file, reason: error.code === 'ENOENT' ? 'no tokenizer.json' : error.message },
      error,
    ),
  )
  return openTokenizer(json, file)
}

/** Generation config's list first, then the tokenizer's own EOS token, then a single id of the generation config. */
function eosIds(tokenizer: Tokenizer, settings: TextSettings): readonly number[] {
  if (Array.isArray(settings.generationEos)) return settings.generationEos
  const own = settings.eosToken === undefined ? undefined : tokenizer.idOf(settings.eosToken)
  const id = own ?? settings.generationEos
  return typeof id === 'number' ? [id] : []
}

interface Parts {
  readonly tokenizer: Tokenizer
  readonly eosIds: readonly number[]
  readonly bosToken: string | undefined
  readonly eosToken: string | undefined
  readonly template: TemplateSource | undefined
}

async function fromDirectory(directory: string, configPath: string | undefined): Promise<Parts> {
  const settings = await readSettings(directory, configPath)
  const tokenizer = await readTokenizer(directory)
  return { ...settings, tokenizer, eosIds: eosIds(tokenizer, settings) }
}

async function fromGguf(metadata: GgufMetadata, configPath: string | undefined): Promise<Parts> {
  const { json, ...own } = convertGgufTokenizer(metadata)
  const given = configPath === undefined ? EMPTY_SETTINGS : await readSettings(undefined, configPath)
  const tokenizer = openTokenizer(json, 'GGUF vocabulary')
  return {
    tokenizer,
    bosToken: given.bosToken ?? own.bosToken,
    eosToken: given.eosToken ?? own.eosToken,
    template: given.template ?? own.template,
    eosIds: given.eosToken === undefined ? own.eosIds : eosIds(tokenizer, given),
  }
}

/**
 * Loads tokenizer, chat template and special tokens of a model. A directory with a tokenizer.json wins over GGUF metadata.
 * @throws model.not_found without tokenizer.json, tokenizer.unsupported and template.failed for files that cannot be used
 */
export async function loadText(source: TextSource): Promise<TextModel> {
  const { directory, gguf, tokenizerConfigPath } = source
  const parts = await (directory !== undefined
    ? fromDirectory(directory, tokenizerConfigPath)
    : gguf
      ? fromGguf(gguf, tokenizerConfigPath)
      : fail('model.not_found', { path: '', reason: 'neither a directory nor GGUF metadata' }))
  const { tokenizer, template, ...rest } = parts
  return {
    tokenizer,
    eosIds: rest.eosIds,
    bosToken: rest.bosToken,
    eosToken: rest.eosToken,
    template: template === undefined ? undefined : compileTemplate(template, rest),
    detokenizer: (options) => new Detokenizer(tokenizer.table, options),
    decode: (ids, options) => decode(tokenizer.table, ids, options),
  }
}
