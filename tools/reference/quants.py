"""Blocks of every storage format with the float32 values that the Python package `gguf` makes of them; of our own formats,
those that numpy makes.

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


NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
FP4 = [sign * x / 12 for sign in (1.0, -1.0) for x in (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)]


def grouped(kind, group, table=None):
    """Groups of our own formats, one or two a row, with their values; the first scale is negative, the second tiny."""
    stored, values = [], []
    for scale in (-0.27, 3e-41, 0.0131, 0.0):
        scale = np.float32(scale)
        head = np.array([scale], dtype="<f4").tobytes()
        if kind == "i8":
            q = random.integers(-128, 128, group)
            stored.append(head + q.astype(np.int8).tobytes())
            values.append(q.astype(np.float32) * scale)
            continue
        q = random.integers(0, 16, group)
        if kind == "u4":
            zero = [0, 16, 8, 5][len(stored)]
            stored.append(head + bytes([zero]) + (q[0::2] | q[1::2] << 4).astype(np.uint8).tobytes())
            values.append((q - zero).astype(np.float32) * scale)
        else:
            stored.append(head + (q[1::2] | q[0::2] << 4).astype(np.uint8).tobytes())
            codes = {"nf4": NF4, "fp4": FP4}.get(kind, table)
            values.append(np.array(codes, dtype=np.float32)[q] * scale)
    return np.frombuffer(b"".join(stored), dtype=np.uint8), np.concatenate(values)


def main():
    goldens = {}
    for kind in (Type.F32, Type.F16, Type.BF16):
        goldens[kind.name.lower()] = plain(kind)
    for kind in (Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1):
        goldens[kind.name.lower()] = small_blocks(kind)
    for kind in K_SCALES:
        goldens[kind.name.lower()] = superblocks(kind)
    ours = {f"{kind}_{name}": grouped(kind, group) for kind in ("i8", "u4") for name, group in (("row", 96), ("128", 128), ("64", 64), ("32", 32))}
    ours |= {kind: grouped(kind, 64) for kind in ("nf4", "fp4")}
    table = random.standard_normal(16).astype("<f4")
    row, values = grouped("lut4", 64, table)
    ours["lut4"] = np.concatenate([table.view(np.uint8), row]), values
    encode = lambda array: base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    with np.errstate(all="ignore"), open(os.path.join(sys.argv[1], "blocks.json"), "w") as file:
        json.dump(
            {
                name: {"bytes": encode(blocks), "floats": encode(dequantize(blocks, Type[name.upper()]).astype("<f4"))}
                for name, blocks in goldens.items()
            }
            | {name: {"bytes": encode(blocks), "floats": encode(values)} for name, (blocks, values) in ours.items()},
            file,
            indent=1,
        )
        file.write("\n")


main()
