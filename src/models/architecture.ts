import type { Graph } from '../graph/graph.ts'
import type { Value } from '../graph/node.ts'

/** What the engine needs to know of any model, whatever its family. */
export interface ModelFacts {
  readonly vocabulary: number
  /** Longest sequence the model was made for (`max_position_embeddings`, scaling included). */
  readonly maxPositions: number
}

/** A model family: reads its config.json, and builds its graph of ops. One file each. */
export interface Architecture<C extends ModelFacts = ModelFacts> {
  /** Names in `architectures` of config.json that mean this family. */
  readonly names: readonly string[]
  /** Reads and checks a config.json; throws `model.config`. */
  config(json: unknown): C
  /** Appends the whole model to `g`; returns the logits, one row a sampled row. */
  build(g: Graph, c: C): Value
}
