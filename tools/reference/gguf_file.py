"""A small GGUF file as the Python package `gguf` writes it, and what its reader finds in it.

    python gguf_file.py ../../test/goldens/gguf

Every scalar type of the metadata occurs, and a tensor of every storage format that the package can write; shapes and names
are those of a llama with one block. The result is the same every time."""

import hashlib
import json
import os
import sys

import numpy as np
from gguf import GGMLQuantizationType as Type, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize

random = np.random.default_rng(7)
HIDDEN, FEED, VOCABULARY, HEADS, KV_HEADS = 64, 96, 40, 4, 2

TENSORS = {
    "token_embd.weight": ((VOCABULARY, HIDDEN), Type.Q8_0),
    "blk.0.attn_norm.weight": ((HIDDEN,), Type.F32),
    "blk.0.attn_q.weight": ((HIDDEN, HIDDEN), Type.Q4_0),
    "blk.0.attn_q.bias": ((HIDDEN,), Type.F32),
    "blk.0.attn_k.weight": ((HIDDEN // 2, HIDDEN), Type.Q4_1),
    "blk.0.attn_v.weight": ((HIDDEN // 2, HIDDEN), Type.Q5_0),
    "blk.0.attn_output.weight": ((HIDDEN, HIDDEN), Type.Q5_1),
    "blk.0.ffn_norm.weight": ((HIDDEN,), Type.F32),
    "blk.0.ffn_gate.weight": ((FEED, HIDDEN), Type.F16),
    "blk.0.ffn_up.weight": ((FEED, HIDDEN), Type.BF16),
    "blk.0.ffn_down.weight": ((HIDDEN, FEED), Type.Q8_0),
    "output_norm.weight": ((HIDDEN,), Type.F32),
    "output.weight": ((VOCABULARY, HIDDEN), Type.F16),
    "rope_freqs.weight": ((HIDDEN // HEADS // 2,), Type.F32),
}


def write(path):
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HIDDEN // HEADS)
    writer.add_value_length(HIDDEN // HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(500000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_token_list([f"token {i} \u2713" for i in range(VOCABULARY)])
    writer.add_token_scores([-float(i) for i in range(VOCABULARY)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(7)
    for kind, value in (
        (GGUFValueType.UINT8, 255),
        (GGUFValueType.INT8, -128),
        (GGUFValueType.UINT16, 65535),
        (GGUFValueType.INT16, -32768),
        (GGUFValueType.UINT32, 4294967295),
        (GGUFValueType.INT32, -2147483648),
        (GGUFValueType.UINT64, 2**53 - 1),
        (GGUFValueType.INT64, -(2**53) + 1),
        (GGUFValueType.FLOAT32, 0.25),
        (GGUFValueType.FLOAT64, 0.1),
        (GGUFValueType.BOOL, True),
    ):
        writer.add_key_value(f"sample.{kind.name.lower()}", value, kind)
    for name, (shape, kind) in TENSORS.items():
        values = random.standard_normal(shape).astype(np.float32)
        if name == "rope_freqs.weight":
            values = np.array([1, 1, 1, 2.5, 4, 8, 8, 8], dtype=np.float32)
        writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path):
    reader = GGUFReader(path)
    fields = {name: f.contents() for name, f in reader.fields.items() if not name.startswith("GGUF.")}
    tensors = [
        {
            "name": t.name,
            "type": t.tensor_type.name.lower(),
            "shape": [int(n) for n in reversed(t.shape)],
            "offset": int(t.data_offset),
            "sha256": hashlib.sha256(dequantize(t.data, t.tensor_type).astype("<f4").tobytes()).hexdigest(),
        }
        for t in reader.tensors
    ]
    return {"metadata": fields, "tensors": tensors}


def main(folder):
    path = os.path.join(folder, "llama.gguf")
    write(path)
    with open(os.path.join(folder, "llama.json"), "w") as file:
        json.dump(read(path), file, indent=1)
        file.write("\n")


main(sys.argv[1])
