/** The sizes of a model of the Llama family. */
export interface ModelShape {
  readonly name: string
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly intermediate: number
  readonly vocabulary: number
}

export const modelShapes: readonly ModelShape[] = [
  {
    name: 'smollm2-135m',
    hidden: 576,
    layers: 30,
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    intermediate: 1536,
    vocabulary: 49152,
  },
  {
    name: 'llama-1.1b',
    hidden: 2048,
    layers: 22,
    heads: 32,
    kvHeads: 4,
    headDim: 64,
    intermediate: 5632,
    vocabulary: 32000,
  },
]

/** One matrix product as the engine runs it, siblings merged: `[rows of M, columns] . [out, columns]^T`. */
export interface LinearShape {
  readonly name: string
  readonly out: number
  readonly columns: number
  /** How often a step runs it. */
  readonly times: number
}

export function linearShapes(m: ModelShape): readonly LinearShape[] {
  const { hidden, layers, intermediate } = m
  const qkv = (m.heads + 2 * m.kvHeads) * m.headDim
  return [
    { name: 'qkv', out: qkv, columns: hidden, times: layers },
    { name: 'o', out: hidden, columns: m.heads * m.headDim, times: layers },
    { name: 'gate+up', out: 2 * intermediate, columns: hidden, times: layers },
    { name: 'down', out: hidden, columns: intermediate, times: layers },
    { name: 'head', out: m.vocabulary, columns: hidden, times: 1 },
  ]
}
