import { type LLM, type LoadOptions, load } from '../library/index.ts'
import { type HubFlags, hubSettings } from './hub-settings.ts'
import { showProgress } from './progress.ts'

/** Values of `modelOptions`, as commander names them. */
export interface ModelFlags extends HubFlags {
  readonly modelId?: string
  readonly backend: 'auto' | 'cpu' | 'reference'
  readonly dtype: 'auto' | 'float32' | 'bfloat16' | 'float16'
  readonly kvCacheDtype: 'auto' | 'float32' | 'bfloat16' | 'int8'
  readonly threads?: number
  readonly cpuAffinity?: readonly number[]
  readonly numa?: 'interleave' | number
  readonly isa?: string
  readonly maxTotalTokens?: number
  readonly maxBatchPrefillTokens?: number
  readonly maxBatchTotalTokens?: number
  readonly maxBatchSize?: number
  readonly prefillStretch?: number
  readonly ropeScaling?: 'linear' | 'dynamic'
  readonly ropeFactor?: number
  readonly tokenizerConfigPath?: string
  readonly watermarkGamma?: number
  readonly watermarkDelta?: number
  readonly verify: boolean
}

/** Loads the model that the flags name, showing progress on stderr. */
export async function loadModel(flags: ModelFlags, more: LoadOptions = {}): Promise<LLM> {
  const llm = await load(flags.modelId, { ...loadOptions(flags), ...more })
  if (llm.info.notice) process.stderr.write(`loquent: ${llm.info.notice}\n`)
  return llm
}

/** What the library is told of the flags. */
export function loadOptions(flags: ModelFlags): LoadOptions {
  const {
    modelId: _,
    kvCacheDtype,
    cpuAffinity,
    ropeScaling,
    ropeFactor,
    revision,
    huggingfaceHubCache,
    watermarkGamma: gamma,
    watermarkDelta: delta,
    ...rest
  } = flags
  const stretched = ropeScaling !== undefined || ropeFactor !== undefined
  const rope = stretched && { ropeScaling: { type: ropeScaling ?? 'linear', factor: ropeFactor ?? 1 } as const }
  const hub = hubSettings({ ...(revision && { revision }), ...(huggingfaceHubCache && { huggingfaceHubCache }) })
  return {
    ...rest,
    kvDtype: kvCacheDtype,
    ...(cpuAffinity && { affinity: cpuAffinity }),
    ...(rope || {}),
    watermark: { ...(gamma !== undefined && { gamma }), ...(delta !== undefined && { delta }) },
    ...(revision && { revision }),
    hub,
    onProgress: showProgress(process.stderr),
  }
}
