import type { Graph } from '../graph/graph.ts'
import type { Value } from '../graph/node.ts'
import { type AttentionConfig, attention } from '../nn/attention.ts'
import { type ConfigReader, readActivation, readConfig } from '../nn/config.ts'
import { add, embedding, type GatedMlpConfig, gatedMlp, linear, rmsNorm, sampledRows } from '../nn/layers.ts'
import { readRope, ropeTable } from '../nn/rope.ts'
import type { Architecture, ModelFacts } from './architecture.ts'

export interface LlamaConfig extends ModelFacts, AttentionConfig, GatedMlpConfig {
  readonly layers: number
  readonly epsilon: number
  readonly tied: boolean
}

/** Llama 1 to 3, SmolLM, Mistral: rotary GQA with RMS norms and a gated MLP. */
export const llama: Architecture<LlamaConfig> = {
  names: ['LlamaForCausalLM', 'LLaMAForCausalLM', 'MistralForCausalLM'],
  config: readLlamaConfig,
  build(g, c) {
    const m = g.scope('model')
    const table = ropeTable(m, c.rope)
    let x = embedding(m, 'embed_tokens', c.vocabulary, c.hidden)
    for (let i = 0; i < c.layers; i++) x = block(m.scope(`layers.${i}`), x, table, c)
    x = rmsNorm(m, 'norm', sampledRows(m, x), c.epsilon)
    return linear(g, c.tied ? 'model.embed_tokens' : 'lm_head', x, c.vocabulary)
  },
}

function block(g: Graph, x: Value, table: Value, c: LlamaConfig): Value {
  const attended = attention(g.scope('self_attn'), rmsNorm(g, 'input_layernorm', x, c.epsilon), table, c)
  const h = add(g, 'attention_residual', x, attended)
  const mixed = gatedMlp(g.scope('mlp'), rmsNorm(g, 'post_attention_layernorm', h, c.epsilon), c)
  return add(g, 'mlp_residual', h, mixed)
}

function readLlamaConfig(json: unknown): LlamaConfig {
  const c = readConfig(json)
  const hidden = c.size('hidden_size')
  const heads = c.size('num_attention_heads')
  const headDim = c.size('head_dim', hidden / heads)
  return {
    vocabulary: c.size('vocab_size'),
    maxPositions: maxPositions(c),
    hidden,
    heads,
    headDim,
    kvHeads: c.size('num_key_value_heads', heads),
    layers: c.size('num_hidden_layers'),
    intermediate: c.size('intermediate_size'),
    activation: readActivation(c.text('hidden_act', 'silu')),
    epsilon: c.number('rms_norm_eps', 1e-6),
    tied: c.flag('tie_word_embeddings', false),
    attentionBias: c.flag('attention_bias', false),
    mlpBias: c.flag('mlp_bias', false),
    window: c.has('sliding_window') ? c.size('sliding_window') : 0,
    rope: readRope(c, headDim),
  }
}

/** Linear and dynamic scaling stretch the trained length; for the other kinds the config already says the stretched one. */
function maxPositions(c: ConfigReader): number {
  const trained = c.size('max_position_embeddings', 2048)
  const scaling = c.object('rope_parameters') ?? c.object('rope_scaling')
  const kind = scaling?.has('rope_type') ? scaling.text('rope_type') : scaling?.text('type', 'default')
  return kind === 'linear' || kind === 'dynamic' ? Math.floor(trained * scaling!.number('factor')) : trained
}
