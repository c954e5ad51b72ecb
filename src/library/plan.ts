import { type MemoryPlan, planEngine } from '../engine/memory-plan.ts'
import { embeddedModel } from './embedded.ts'
import { findModel } from './load.ts'
import type { LoadOptions } from './types.ts'

/**
 * What `load` would take of the memory with the same arguments, to the byte, and what fits. Reads the headers of the
 * files; a model on the hub is downloaded first.
 *
 * @throws LoquentError what `load` throws of a model or of options, but never `engine.memory`
 */
export async function planMemory(model: string = embeddedModel, options: LoadOptions = {}): Promise<MemoryPlan> {
  const { revision, hub, engine, onNotice, onProgress, tokenizerConfigPath, ...rest } = options
  const { path } = await findModel(model, { ...hub, ...(revision !== undefined && { revision }) })
  return planEngine({ ...rest, model: path })
}
