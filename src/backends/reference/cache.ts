import type { CacheLayer } from '../../graph/node.ts'
import type { PlacedCache } from '../../graph/program.ts'
import type { Limits } from '../../ops/domain.ts'
import type { KvFormat } from '../../tensor/kv-format.ts'

/**
 * The KV cache of one layer: float32 `[block][keys, then values][slot of the block][kvHead][headDim]`, holding numbers that
 * `format` can.
 */
export interface PagedCache {
  readonly data: Float32Array
  readonly blockSize: number
  readonly kvHeads: number
  readonly headDim: number
  readonly format: KvFormat
}

export const cacheBlockBytes = (blockSize: number, layer: CacheLayer): number =>
  2 * blockSize * layer.kvHeads * layer.headDim * 4

/** Index of the key of `slot` and `head`; its value lies `valueDistance` further on. */
export function keyIndex(c: PagedCache, slot: number, head: number): number {
  const block = Math.floor(slot / c.blockSize)
  const within = slot - block * c.blockSize
  return ((block * 2 * c.blockSize + within) * c.kvHeads + head) * c.headDim
}

export const valueDistance = (c: PagedCache): number => c.blockSize * c.kvHeads * c.headDim

/** Cuts an arena into one cache a layer, layer after layer. */
export function pagedCaches(buffer: ArrayBuffer, layers: readonly PlacedCache[], limits: Limits): PagedCache[] {
  let offset = 0
  return layers.map((layer) => {
    const bytes = limits.blocks * cacheBlockBytes(limits.blockSize, layer)
    const data = new Float32Array(buffer, offset, bytes / 4)
    offset += bytes
    return { data, blockSize: limits.blockSize, kvHeads: layer.kvHeads, headDim: layer.headDim, format: layer.format }
  })
}
