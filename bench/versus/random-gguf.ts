import { closeSync, openSync, writeSync } from 'node:fs'
import type { ModelShape } from '../shapes.ts'

/**
 * A GGUF file of the Llama family with random BF16 weights and no vocabulary, which is all that a measurement of speed
 * needs. Format: the GGUF specification of ggml (version 3, little-endian).
 */
const types = { u32: 4, f32: 6, string: 8 } as const
const stored = { f32: 0, bf16: 30 } as const
const alignment = 32
const contextLength = 8192
/** Random numbers are drawn once and repeated from different places: drawing a thousand million takes minutes. */
const drawnElements = 2 ** 22 + 61

type Field = readonly [key: string, type: keyof typeof types, value: number | string]

interface Tensor {
  readonly name: string
  /** Innermost dimension first. */
  readonly shape: readonly number[]
  readonly type: keyof typeof stored
}

function fields(m: ModelShape): readonly Field[] {
  return [
    ['general.architecture', 'string', 'llama'],
    ['general.name', 'string', `${m.name} of random weights`],
    ['general.file_type', 'u32', 32],
    ['llama.vocab_size', 'u32', m.vocabulary],
    ['llama.context_length', 'u32', contextLength],
    ['llama.embedding_length', 'u32', m.hidden],
    ['llama.block_count', 'u32', m.layers],
    ['llama.feed_forward_length', 'u32', m.intermediate],
    ['llama.rope.dimension_count', 'u32', m.headDim],
    ['llama.rope.freq_base', 'f32', 10000],
    ['llama.attention.head_count', 'u32', m.heads],
    ['llama.attention.head_count_kv', 'u32', m.kvHeads],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
    ['tokenizer.ggml.model', 'string', 'no_vocab'],
  ]
}

function tensors(m: ModelShape): readonly Tensor[] {
  const [q, kv] = [m.heads * m.headDim, m.kvHeads * m.headDim]
  const matrix = (name: string, columns: number, rows: number): Tensor => ({
    name,
    shape: [columns, rows],
    type: 'bf16',
  })
  const norm = (name: string): Tensor => ({ name, shape: [m.hidden], type: 'f32' })
  const layer = (i: number) => [
    norm(`blk.${i}.attn_norm.weight`),
    matrix(`blk.${i}.attn_q.weight`, m.hidden, q),
    matrix(`blk.${i}.attn_k.weight`, m.hidden, kv),
    matrix(`blk.${i}.attn_v.weight`, m.hidden, kv),
    matrix(`blk.${i}.attn_output.weight`, q, m.hidden),
    norm(`blk.${i}.ffn_norm.weight`),
    matrix(`blk.${i}.ffn_gate.weight`, m.hidden, m.intermediate),
    matrix(`blk.${i}.ffn_up.weight`, m.hidden, m.intermediate),
    matrix(`blk.${i}.ffn_down.weight`, m.intermediate, m.hidden),
  ]
  return [
    matrix('token_embd.weight', m.hidden, m.vocabulary),
    ...Array.from({ length: m.layers }, (_, i) => layer(i)).flat(),
    norm('output_norm.weight'),
    matrix('output.weight', m.hidden, m.vocabulary),
  ]
}

const u32 = (value: number): Uint8Array => {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}
const u64 = (value: number): Uint8Array => {
  const out = Buffer.alloc(8)
  out.writeBigUInt64LE(BigInt(value))
  return out
}
const f32 = (value: number): Uint8Array => {
  const out = Buffer.alloc(4)
  out.writeFloatLE(value)
  return out
}
const text = (value: string): Uint8Array => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])
const padded = (bytes: number) => Math.ceil(bytes / alignment) * alignment
const elements = (t: Tensor) => t.shape.reduce((a, b) => a * b, 1)
const bytesOf = (t: Tensor) => elements(t) * (t.type === 'f32' ? 4 : 2)

function value(type: keyof typeof types, of: number | string): Uint8Array {
  if (type === 'string') return text(String(of))
  return type === 'u32' ? u32(Number(of)) : f32(Number(of))
}

function header(m: ModelShape): Uint8Array {
  const [keys, list] = [fields(m), tensors(m)]
  const parts: Uint8Array[] = [Buffer.from('GGUF'), u32(3), u64(list.length), u64(keys.length)]
  for (const [key, type, of] of keys) parts.push(text(key), u32(types[type]), value(type, of))
  let offset = 0
  for (const t of list) {
    parts.push(text(t.name), u32(t.shape.length), ...t.shape.map(u64), u32(stored[t.type]), u64(offset))
    offset += padded(bytesOf(t))
  }
  const bytes = Buffer.concat(parts)
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)])
}

/** Uniform numbers of the deviation that keeps activations at the size they have, as BF16 (xorshift32, cut not rounded). */
function drawn(hidden: number): Buffer {
  const range = Math.sqrt(3 / hidden)
  const numbers = new Float32Array(drawnElements)
  let state = 0x9e3779b9
  for (let i = 0; i < drawnElements; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    numbers[i] = ((state >>> 0) / 2 ** 31 - 1) * range
  }
  const halves = new Uint16Array(numbers.buffer).filter((_, i) => i % 2 === 1)
  return Buffer.from(halves.buffer)
}

/** Writes the file; sizes are those of `m`, the numbers are always the same. */
export function writeRandomGguf(path: string, m: ModelShape): void {
  const file = openSync(path, 'w')
  try {
    writeSync(file, header(m))
    const random = drawn(m.hidden)
    let from = 0
    for (const t of tensors(m)) {
      const bytes = bytesOf(t)
      if (t.type === 'f32') writeSync(file, Buffer.from(new Float32Array(elements(t)).fill(1).buffer))
      for (let left = t.type === 'f32' ? 0 : bytes; left > 0; ) {
        const piece = Math.min(left, random.length - from)
        writeSync(file, random, from, piece)
        left -= piece
        from = (from + piece) % random.length
      }
      writeSync(file, Buffer.alloc(padded(bytes) - bytes))
    }
  } finally {
    closeSync(file)
  }
}
