import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoquentError } from '../base/errors.ts'
import type { StoredTensor } from './catalog.ts'
import { ggufConfig } from './gguf-config.ts'
import type { GgufValue } from './gguf-metadata.ts'
import { llamaTensorName } from './gguf-names.ts'

const usual: Readonly<Record<string, GgufValue>> = {
  'general.architecture': 'llama',
  'llama.block_count': 2,
  'llama.context_length': 4096,
  'llama.embedding_length': 64,
  'llama.feed_forward_length': 96,
  'llama.attention.head_count': 4,
  'llama.attention.layer_norm_rms_epsilon': Math.fround(1e-5),
  'llama.vocab_size': 100,
}

function vector(name: string, values: readonly number[], shape: readonly number[] = [values.length]): StoredTensor {
  const bytes = new Uint8Array(Float32Array.from(values).buffer)
  return { name, file: 'm.gguf', offset: 0, format: 'f32', shape, bytes: () => bytes }
}

function configOf(metadata: Readonly<Record<string, GgufValue>>, tensors: readonly StoredTensor[] = []) {
  const all = new Map(Object.entries({ ...usual, ...metadata }))
  return ggufConfig(all, new Map(tensors.map((tensor) => [tensor.name, tensor])))
}

function refuses(
  metadata: Readonly<Record<string, GgufValue>>,
  message: RegExp,
  tensors: readonly StoredTensor[] = [],
): void {
  assert.throws(
    () => configOf(metadata, tensors),
    (error) => error instanceof LoquentError && error.code === 'model.config' && message.test(error.message),
  )
}

test('what a plain file leaves out has its usual value', () => {
  assert.deepEqual(configOf({}), {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    head_dim: 16,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096,
    vocab_size: 100,
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: true,
    rope_theta: 10000,
    rope_interleaved: true,
    eos_token_id: [],
  })
})

test('what a file says is taken', () => {
  const config = configOf(
    {
      'llama.attention.head_count_kv': [2, 2],
      'llama.attention.key_length': 32,
      'llama.attention.sliding_window': 128,
      'llama.rope.freq_base': 500000,
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.eot_token_id': 7,
      'tokenizer.ggml.eom_token_id': 2,
    },
    [
      vector('model.embed_tokens.weight', [], [104, 64]),
      vector('lm_head.weight', [], [104, 64]),
      vector('model.layers.0.self_attn.q_proj.bias', []),
    ],
  )
  assert.equal(config['num_key_value_heads'], 2)
  assert.equal(config['head_dim'], 32)
  assert.equal(config['sliding_window'], 128)
  assert.equal(config['rope_theta'], 500000)
  assert.equal(config['vocab_size'], 104)
  assert.equal(config['tie_word_embeddings'], false)
  assert.equal(config['attention_bias'], true)
  assert.equal(config['bos_token_id'], 1)
  assert.deepEqual(config['eos_token_id'], [2, 7])
})

test('rope scaling', () => {
  const scaling = (metadata: Readonly<Record<string, GgufValue>>, tensors?: readonly StoredTensor[]) =>
    configOf(metadata, tensors)['rope_scaling']
  const typed = (type: string) => ({ 'llama.rope.scaling.type': type, 'llama.rope.scaling.factor': 4 })
  const factors = vector('rope_freqs.weight', [1, 2.5, 8])
  assert.equal(scaling(typed('none')), undefined)
  assert.deepEqual(scaling(typed('linear')), { rope_type: 'linear', factor: 4 })
  assert.deepEqual(scaling({ 'llama.rope.scale_linear': 2 }), { rope_type: 'linear', factor: 2 })
  assert.deepEqual(scaling({}, [factors]), { rope_type: 'factors', factors: [1, 2.5, 8] })
  assert.deepEqual(scaling(typed('linear'), [factors]), { rope_type: 'factors', factors: [4, 10, 32] })
  assert.deepEqual(
    scaling({
      ...typed('yarn'),
      'llama.rope.scaling.original_context_length': 1024,
      'llama.rope.scaling.attn_factor': 0.5,
      'llama.rope.scaling.yarn_beta_fast': 16,
    }),
    {
      rope_type: 'yarn',
      factor: 4,
      original_max_position_embeddings: 1024,
      beta_fast: 16,
      attention_factor: 0.5 * (1 + 0.1 * Math.log(4)),
    },
  )
  refuses(typed('yarn'), /yarn together with rope_freqs/, [factors])
  refuses({}, /rope_freqs.weight of shape \[2,3\]/, [vector('rope_freqs.weight', [], [2, 3])])
})

test('what a llama of this shape cannot say is refused', () => {
  refuses({ 'llama.attention.head_count_kv': [2, 4] }, /attention.head_count_kv differs from layer to layer/)
  refuses({ 'llama.block_count': 'two' }, /block_count is no number/)
  refuses({ 'llama.rope.dimension_count': 8, 'llama.attention.key_length': 16 }, /rope over 8 of 16 dimensions/)
  refuses({ 'llama.attention.value_length': 8 }, /values of 8 and keys of 16/)
  refuses({ 'llama.logit_scale': 16 }, /logit_scale is not supported/)
  assert.equal(configOf({ 'llama.logit_scale': 1 })['hidden_size'], 64)
  refuses({ 'general.architecture': 1 }, /does not say general.architecture/)
  const { 'llama.block_count': _, ...rest } = usual
  assert.throws(() => ggufConfig(new Map(Object.entries(rest)), new Map()), /does not say llama.block_count/)
})

test('another architecture is named for the registry to refuse', () => {
  assert.deepEqual(configOf({ 'general.architecture': 'qwen3' }), { architectures: ['qwen3'] })
  assert.deepEqual(configOf({ 'llama.expert_count': 8 }), { architectures: ['llama with experts (GGUF)'] })
})

test('names', () => {
  const names: readonly [string, string][] = [
    ['token_embd.weight', 'model.embed_tokens.weight'],
    ['output_norm.weight', 'model.norm.weight'],
    ['output.weight', 'lm_head.weight'],
    ['blk.0.attn_norm.weight', 'model.layers.0.input_layernorm.weight'],
    ['blk.12.attn_q.weight', 'model.layers.12.self_attn.q_proj.weight'],
    ['blk.1.attn_k.bias', 'model.layers.1.self_attn.k_proj.bias'],
    ['blk.1.attn_v.weight', 'model.layers.1.self_attn.v_proj.weight'],
    ['blk.1.attn_output.weight', 'model.layers.1.self_attn.o_proj.weight'],
    ['blk.1.ffn_norm.weight', 'model.layers.1.post_attention_layernorm.weight'],
    ['blk.1.ffn_gate.weight', 'model.layers.1.mlp.gate_proj.weight'],
    ['blk.1.ffn_up.weight', 'model.layers.1.mlp.up_proj.weight'],
    ['blk.1.ffn_down.weight', 'model.layers.1.mlp.down_proj.weight'],
    ['rope_freqs.weight', 'rope_freqs.weight'],
    ['blk.1.ffn_gate_exps.weight', 'blk.1.ffn_gate_exps.weight'],
    ['constructor.weight', 'constructor.weight'],
    ['blk.1.toString.weight', 'blk.1.toString.weight'],
  ]
  for (const [stored, wanted] of names) assert.equal(llamaTensorName(stored), wanted)
})
