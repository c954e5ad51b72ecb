import { fail } from '../../base/errors.ts'
import type { Traits } from '../contract.ts'
import { cacheBlockBytes } from './cache.ts'

const BLOCK_SIZE = 16

/** Everything float32, row after row. */
export const referenceTraits: Traits = {
  name: 'reference',
  detail: 'plain TypeScript, float32',
  threads: 1,
  blockSize: BLOCK_SIZE,
  cacheBlockBytes: (layer) => cacheBlockBytes(BLOCK_SIZE, layer),
  storage: ({ rows, columns }, _use, _stored, wanted) => {
    if (wanted && wanted !== 'f32') {
      const reason = `the reference backend stores every weight as f32 and cannot keep it as ${wanted}`
      fail('backend.unavailable', { reason })
    }
    return { format: 'f32', layout: 'rows', bytes: rows * columns * 4 }
  },
}
