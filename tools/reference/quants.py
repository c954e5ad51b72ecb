"""Blocks of every storage format with the float32 values that the Python package `gguf` makes of them.

    python quants.py ../../test/goldens/quants

The result is the same every time."""

import base64
import json
import os
import sys

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

random = np.random.default_rng(20240607)

# Byte offsets of the halves (scales and minima) in a superblock; all other bytes may be anything.
K_SCALES = {Type.Q2_K: (80, 82), Type.Q3_K: (108,), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2), Type.Q6_K: (208,)}
# Usual, negative, zero, subnormal, largest.
SCALES = (0.0131, -0.27, 0.0, 2.0**-24, 3 * 2.0**-20, 65504.0)


def superblocks(kind):
    size = GGML_QUANT_SIZES[kind][1]
    blocks = random.integers(0, 256, (len(SCALES), size), dtype=np.uint8)
    for i, block in enumerate(blocks):
        for j, at in enumerate(K_SCALES[kind]):
            scale = SCALES[(i + 2 * j) % len(SCALES)]
            block[at : at + 2] = np.array([scale], dtype="<f2").view(np.uint8)
    return blocks


def small_blocks(kind):
    rows = random.standard_normal((4, 32)).astype(np.float32)
    rows[1] *= 1e-6  # scales become subnormal halves
    rows[2] = 0
    rows[3] *= 1000
    scrambled = random.integers(0, 256, (3, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    scrambled[:, 1] &= 0xBF  # keeps scale and, where there is one, minimum finite
    scrambled[:, 3] &= 0xBF
    return np.concatenate([quantize(rows, kind), scrambled])


def plain(kind):
    if kind == Type.F32:
        values = random.standard_normal(16).astype("<f4")
        values[:4] = [0.0, -0.0, np.inf, 1e-40]
        return values.view(np.uint8).reshape(1, -1)
    bits = random.integers(0, 65536, 256, dtype=np.uint16)
    # Both zeros, smallest and largest subnormal and normal halves, infinities, a NaN.
    bits[:10] = [0, 0x8000, 1, 0x03FF, 0x8001, 0x0400, 0x7BFF, 0x7C00, 0xFC00, 0x7E01]
    return bits.astype("<u2").view(np.uint8).reshape(1, -1)


def main():
    goldens = {}
    for kind in (Type.F32, Type.F16, Type.BF16):
        goldens[kind.name.lower()] = plain(kind)
    for kind in (Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1):
        goldens[kind.name.lower()] = small_blocks(kind)
    for kind in K_SCALES:
        goldens[kind.name.lower()] = superblocks(kind)
    encode = lambda array: base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    with np.errstate(all="ignore"), open(os.path.join(sys.argv[1], "blocks.json"), "w") as file:
        json.dump(
            {
                name: {"bytes": encode(blocks), "floats": encode(dequantize(blocks, Type[name.upper()]).astype("<f4"))}
                for name, blocks in goldens.items()
            },
            file,
            indent=1,
        )
        file.write("\n")


main()
