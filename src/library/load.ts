import { basename } from 'node:path'
import type { EngineOptions } from '../engine/spec.ts'
import { startWorkerHost } from '../engine/worker-host.ts'
import { loadText, type TextModel } from '../text/load.ts'
import { openCheckpoint } from '../weights/open.ts'
import { embeddedModel } from './embedded.ts'
import { LoadedModel } from './llm.ts'
import type { LLM, LoadOptions, ModelInfo } from './types.ts'

/**
 * Loads a model into an engine of this process (on a worker thread) and gives it to you ready to run.
 *
 * @param model directory of a Hugging Face checkpoint (config.json, *.safetensors, tokenizer.json) or a GGUF file;
 *   the embedded loquent-tiny when absent
 * @throws LoquentError `model.not_found`, `weights.malformed`, `model.architecture`, `model.config`, `engine.memory`, ...
 */
export async function load(model: string = embeddedModel, options: LoadOptions = {}): Promise<LLM> {
  const { onProgress, tokenizerConfigPath, ...engine } = options
  const text = await openText(model, tokenizerConfigPath)
  const host = await startWorkerHost({ ...engine, model } satisfies EngineOptions, onProgress)
  const { architecture, backend, dtype, vocabulary, maxTotalTokens, maxTopTokens, notice } = host.facts
  const info: ModelInfo = {
    modelId: model === embeddedModel ? basename(model) : model,
    architecture,
    backend,
    dtype,
    vocabulary,
    maxTotalTokens,
    maxInputTokens: maxTotalTokens - 1,
    maxTopTokens,
    hasChatTemplate: text.template !== undefined,
    ...(notice !== undefined && { notice }),
  }
  return new LoadedModel(host, text, info)
}

/** Tokenizer and template of a directory, or of a GGUF file's own metadata. Opening reads headers only. */
async function openText(model: string, tokenizerConfigPath: string | undefined): Promise<TextModel> {
  const { gguf, close } = openCheckpoint(model)
  close()
  const config = tokenizerConfigPath === undefined ? {} : { tokenizerConfigPath }
  return gguf ? loadText({ gguf, ...config }) : loadText({ directory: model, ...config })
}
