import { fileURLToPath } from 'node:url'
import { openBackend } from '../../backends/select.ts'
import { LoquentError } from '../../base/errors.ts'

/** A tiny Llama with grouped queries, 131 tokens and 128 positions. */
export const tinyModel = fileURLToPath(new URL('../../../test/goldens/llama/gqa', import.meta.url))

/** Every backend that this machine can open: the engine must behave the same on all of them. */
export const backends = (['reference', 'cpu'] as const).filter((backend) => {
  try {
    openBackend({ backend }).backend.close()
    return true
  } catch (error) {
    if (error instanceof LoquentError && error.code === 'backend.unavailable') return false
    throw error
  }
})
