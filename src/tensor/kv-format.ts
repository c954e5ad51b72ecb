/**
 * How keys and values lie in the cache, and the number of each in an encoded program. `bf16` is rounded to nearest, ties to
 * even. `int8` keeps a float32 scale for each token and head: the greatest magnitude over 127.
 */
export const kvFormats = { f32: 0, bf16: 1, int8: 2 } as const
export type KvFormat = keyof typeof kvFormats
