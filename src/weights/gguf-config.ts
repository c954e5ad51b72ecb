import { fail } from '../base/errors.ts'
import { dequantize } from '../tensor/dequantize.ts'
import type { StoredTensor } from './catalog.ts'
import type { GgufMetadata, GgufValue } from './gguf-metadata.ts'

type Tensors = ReadonlyMap<string, StoredTensor>
type Config = Readonly<Record<string, unknown>>

/** llama.cpp keeps the frequency divisors of Llama 3.1 and later in this tensor. */
const ropeFactors = 'rope_freqs.weight'

/** Keys that change the arithmetic in ways a Hugging Face `llama` has no word for; harmless where they are 0, 1 or false. */
const refusedKeys = [
  ...['attention.scale', 'attention.clamp_kqv', 'attention.max_alibi_bias', 'attn_logit_softcapping'],
  ...['final_logit_softcapping', 'logit_scale', 'residual_scale', 'embedding_scale', 'rope.scaling.alpha'],
]

/** The config.json that the model of a GGUF file had, as far as anything of it matters to a model. */
export function ggufConfig(metadata: GgufMetadata, tensors: Tensors): Config {
  const architecture = metadata.get('general.architecture')
  if (typeof architecture !== 'string') refuse('the GGUF file does not say general.architecture')
  if (architecture !== 'llama') return { architectures: [architecture] }
  const keys = new Keys(metadata, architecture)
  // The registry has a better answer to an architecture it does not know than a builder to tensors that are not there.
  if (keys.number('expert_count')) return { architectures: ['llama with experts (GGUF)'] }
  return llamaConfig(keys, tensors)
}

const refuse = (reason: string): never => fail('model.config', { reason })

/** Metadata under one architecture's prefix. */
class Keys {
  readonly metadata: GgufMetadata
  readonly #prefix: string

  constructor(metadata: GgufMetadata, architecture: string) {
    this.metadata = metadata
    this.#prefix = architecture
  }

  get(key: string): GgufValue | undefined {
    return this.metadata.get(`${this.#prefix}.${key}`)
  }

  /** A number, or a list (one value a layer) that says the same number throughout. */
  number(key: string): number | undefined {
    const value = this.get(key)
    const first = Array.isArray(value) ? value[0] : value
    if (Array.isArray(value) && value.some((other) => other !== first)) refuse(`${key} differs from layer to layer`)
    if (first === undefined) return undefined
    return typeof first === 'number' ? shortest(first) : refuse(`${key} is no number`)
  }

  need(key: string): number {
    return this.number(key) ?? refuse(`the GGUF file does not say ${this.#prefix}.${key}`)
  }
}

/** The shortest decimal that is the same float32: a file has 1e-5 as 9.999999747378752e-6. */
function shortest(value: number): number {
  if (Number.isInteger(value)) return value
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return value
}

function llamaConfig(keys: Keys, tensors: Tensors): Config {
  for (const key of refusedKeys) {
    const value = keys.get(key)
    if (value !== undefined && Number(value) !== 0 && Number(value) !== 1) refuse(`${key} is not supported`)
  }
  const heads = keys.need('attention.head_count')
  const hidden = keys.need('embedding_length')
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: keys.need('feed_forward_length'),
    num_hidden_layers: keys.need('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: keys.number('attention.head_count_kv') ?? heads,
    head_dim: headDim(keys, hidden / heads),
    rms_norm_eps: keys.need('attention.layer_norm_rms_epsilon'),
    max_position_embeddings: keys.need('context_length'),
    vocab_size: vocabulary(keys, tensors),
    attention_bias: tensors.has('model.layers.0.self_attn.q_proj.bias'),
    mlp_bias: tensors.has('model.layers.0.mlp.up_proj.bias'),
    tie_word_embeddings: !tensors.has('lm_head.weight'),
    ...optional('sliding_window', keys.number('attention.sliding_window')),
    ...rope(keys, tensors),
    ...tokenIds(keys.metadata),
  }
}

const optional = (name: string, value: unknown): Config => (value === undefined ? {} : { [name]: value })

function headDim(keys: Keys, otherwise: number): number {
  const rotary = keys.number('rope.dimension_count')
  const dim = keys.number('attention.key_length') ?? rotary ?? otherwise
  if (rotary !== undefined && rotary !== dim) refuse(`rope over ${rotary} of ${dim} dimensions is not supported`)
  const values = keys.number('attention.value_length')
  if (values !== undefined && values !== dim)
    refuse(`values of ${values} and keys of ${dim} dimensions are not supported`)
  return dim
}

/** The rows of the embedding are the truth; the metadata may leave padding out. */
function vocabulary(keys: Keys, tensors: Tensors): number {
  return tensors.get('model.embed_tokens.weight')?.shape[0] ?? keys.need('vocab_size')
}

/** The converter of llama.cpp orders the rows of q and k for interleaved pairs; stored order is kept and rope told. */
function rope(keys: Keys, tensors: Tensors): Config {
  return {
    rope_theta: keys.number('rope.freq_base') ?? 10000,
    rope_interleaved: true,
    ...optional('rope_scaling', ropeScaling(keys, tensors.get(ropeFactors))),
  }
}

function ropeScaling(keys: Keys, factors: StoredTensor | undefined): Config | undefined {
  const old = keys.number('rope.scale_linear')
  const type = keys.get('rope.scaling.type') ?? (old === undefined ? 'none' : 'linear')
  const factor = keys.number('rope.scaling.factor') ?? old ?? 1
  if (factors) {
    // Linear scaling divides all frequencies alike, so the two become one.
    if (type !== 'none' && type !== 'linear') refuse(`rope scaling ${String(type)} together with ${ropeFactors}`)
    const common = type === 'linear' ? factor : 1
    return { rope_type: 'factors', factors: readFactors(factors).map((f) => f * common) }
  }
  if (type === 'none') return undefined
  return { rope_type: type, factor, ...(type === 'yarn' ? yarn(keys, factor) : {}) }
}

function readFactors(tensor: StoredTensor): readonly number[] {
  // One a frequency: half of a head's dimensions.
  if (tensor.shape.length !== 1 || tensor.shape[0]! > 2 ** 16) refuse(`${ropeFactors} of shape [${tensor.shape}]`)
  const factors = new Float32Array(tensor.shape[0]!)
  dequantize(tensor.format, tensor.bytes(), factors)
  return [...factors]
}

function yarn(keys: Keys, factor: number): Config {
  const attention = keys.number('rope.scaling.yarn_attn_factor') ?? keys.number('rope.scaling.attn_factor')
  return {
    ...optional('original_max_position_embeddings', keys.number('rope.scaling.original_context_length')),
    ...optional('beta_fast', keys.number('rope.scaling.yarn_beta_fast')),
    ...optional('beta_slow', keys.number('rope.scaling.yarn_beta_slow')),
    // llama.cpp multiplies YaRN's own factor by this one; Hugging Face puts its in the place of YaRN's.
    ...(attention === undefined ? {} : { attention_factor: attention * (1 + 0.1 * Math.log(factor)) }),
  }
}

/** Ids that end a text: of the text, of a turn, of a message. */
const endKeys = ['eos_token_id', 'eot_token_id', 'eom_token_id']

function tokenIds(metadata: GgufMetadata): Config {
  const id = (key: string) => metadata.get(`tokenizer.ggml.${key}`)
  const ends = new Set(endKeys.map(id).filter((end) => typeof end === 'number'))
  return {
    ...optional('bos_token_id', id('bos_token_id')),
    ...optional('pad_token_id', id('padding_token_id')),
    eos_token_id: [...ends],
  }
}
