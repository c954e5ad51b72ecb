import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { fail, LoquentError } from '../base/errors.ts'
import { startChildHost } from '../engine/child-host.ts'
import type { EngineHost } from '../engine/host.ts'
import type { EngineOptions } from '../engine/spec.ts'
import { startWorkerHost } from '../engine/worker-host.ts'
import { downloadModel, type Snapshot } from '../hub/download.ts'
import { isModelId } from '../hub/model-id.ts'
import type { HubOptions } from '../hub/options.ts'
import { loadText, type TextModel } from '../text/load.ts'
import { openCheckpoint } from '../weights/open.ts'
import { embeddedModel } from './embedded.ts'
import { LoadedModel } from './llm.ts'
import type { LLM, LoadOptions, ModelInfo } from './types.ts'
import { defaultWatermark } from './watermark.ts'

/**
 * Loads a model into an engine (on a worker thread of this process, unless `options.engine` says otherwise) and gives it
 * to you ready to run.
 *
 * @param model directory of a Hugging Face checkpoint (config.json, *.safetensors, tokenizer.json) or a GGUF file, or
 *   the id of a model on the Hugging Face hub, where there is no such path; the embedded loquent-tiny when absent
 * @throws LoquentError `model.not_found`, `weights.malformed`, `model.architecture`, `model.config`, `engine.memory`,
 *   `hub.not_found`, `hub.denied`, `hub.unreachable`, ...
 */
export async function load(model: string = embeddedModel, options: LoadOptions = {}): Promise<LLM> {
  const { tokenizerConfigPath, revision, hub, maxInputTokens, watermark, ...rest } = options
  const found = await findModel(model, { ...hub, ...(revision !== undefined && { revision }) })
  const text = await openText(found.path, tokenizerConfigPath)
  const host = await startHost(found.path, rest)
  if (maxInputTokens !== undefined && !(maxInputTokens > 0 && maxInputTokens < host.facts.maxTotalTokens)) {
    await host.close()
    const reason = `${maxInputTokens} is not less than maxTotalTokens (${host.facts.maxTotalTokens}) and above 0`
    fail('option.invalid', { name: 'maxInputTokens', reason })
  }
  const { architecture, backend, dtype, vocabulary, maxTotalTokens, maxTopTokens, blockTokens, notice } = host.facts
  const info: ModelInfo = {
    modelId: model === embeddedModel ? basename(model) : model,
    ...(found.commit !== undefined && { modelSha: found.commit }),
    architecture,
    backend,
    dtype,
    vocabulary,
    maxTotalTokens,
    maxInputTokens: maxInputTokens ?? maxTotalTokens - 1,
    maxTopTokens,
    blockTokens,
    hasChatTemplate: text.template !== undefined,
    watermark: { ...defaultWatermark, ...watermark },
    ...(notice !== undefined && { notice }),
  }
  return new LoadedModel(host, text, info)
}

function startHost(
  model: string,
  options: Omit<LoadOptions, 'tokenizerConfigPath' | 'hub' | 'maxInputTokens' | 'watermark'>,
): Promise<EngineHost> {
  const { engine = 'worker', onProgress, onNotice, ...rest } = options
  const engineOptions = { ...rest, model } satisfies EngineOptions
  const hosts = { worker: startWorkerHost, process: startChildHost }
  if (!Object.hasOwn(hosts, engine)) fail('option.invalid', { name: 'engine', reason: `${engine} is not known` })
  return hosts[engine](engineOptions, onProgress, onNotice && { onNotice })
}

/** Where the files of `model` are: a path is taken as it is; what is no path, and could be an id, is one. */
export async function findModel(
  model: string,
  options: HubOptions,
): Promise<Partial<Snapshot> & { readonly path: string }> {
  if (existsSync(model) || !isModelId(model)) return { path: model }
  return downloadModel(model, options).catch((error) => {
    throw withoutPath(error, model)
  })
}

/** A path with a letter wrong looks like an id: what the hub says of it would lead astray. */
function withoutPath(error: unknown, model: string): unknown {
  if (!(error instanceof LoquentError) || typeof error.facts['reason'] !== 'string') return error
  const reason = `${error.facts['reason']} (and there is no path ${model})`
  return new LoquentError(error.code, { ...error.facts, reason }, { cause: error })
}

/** Tokenizer and template of a directory, or of a GGUF file's own metadata. Opening reads headers only. */
async function openText(model: string, tokenizerConfigPath: string | undefined): Promise<TextModel> {
  const { gguf, close } = openCheckpoint(model)
  close()
  const config = tokenizerConfigPath === undefined ? {} : { tokenizerConfigPath }
  return gguf ? loadText({ gguf, ...config }) : loadText({ directory: model, ...config })
}
