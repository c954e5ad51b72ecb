/** Parts of a block's names in GGUF's `llama` and of a layer's in Hugging Face's. */
const blockParts: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
}

const otherParts: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
}

const blockName = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/
const otherName = /^(\w+)\.(weight|bias)$/

/** The Hugging Face name of a tensor of GGUF's `llama`; a name with no counterpart (`rope_freqs.weight`) stays as it is. */
export function llamaTensorName(name: string): string {
  const [, block, part = '', kind] = blockName.exec(name) ?? []
  if (Object.hasOwn(blockParts, part)) return `model.layers.${block}.${blockParts[part]}.${kind}`
  const [, other = '', otherKind] = otherName.exec(name) ?? []
  return Object.hasOwn(otherParts, other) ? `${otherParts[other]}.${otherKind}` : name
}
