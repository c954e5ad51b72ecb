import type { InfoResponse } from '../../wire/tgi.ts'
import type { Context } from './context.ts'

/** Body of `GET /info`; clients tell servers of this protocol by the `router` field. */
export const infoOf = ({ settings: s, limits, llm }: Context): InfoResponse => ({
  model_id: s.modelId,
  model_sha: s.modelSha,
  model_pipeline_tag: s.modelPipelineTag,
  max_concurrent_requests: s.maxConcurrentRequests,
  max_best_of: s.maxBestOf,
  max_stop_sequences: s.maxStopSequences,
  max_input_tokens: limits.maxInputTokens,
  max_total_tokens: llm.info.maxTotalTokens,
  validation_workers: s.validationWorkers,
  max_client_batch_size: s.maxClientBatchSize,
  router: 'text-generation-router',
  version: s.version,
  sha: s.sha,
  docker_label: s.dockerLabel,
})
