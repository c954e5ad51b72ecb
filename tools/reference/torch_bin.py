"""Writes small checkpoints as PyTorch saves them, and what is in them.

    python torch_bin.py OUT LLAMA

`archive.bin` and `legacy.bin` hold the same tensors, in the format since PyTorch 1.6 and in the one before; `tensors.json` has
their bytes in the order of the shape. `sharded/` is the checkpoint in the folder LLAMA (safetensors) as two `.bin` files and
an index. `refused/` has files that must not be read. Files in the old format name storages by their address in memory, so their
bytes differ from run to run; the others do not.
"""

import base64
import json
import os
import shutil
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.bool: "BOOL", torch.uint8: "U8"}


def tensors() -> "OrderedDict[str, torch.Tensor]":
    torch.manual_seed(7)
    base = torch.randn(6, 8)
    found = OrderedDict()
    found["f32"] = torch.randn(3, 5)
    found["f16"] = torch.randn(4, 4).half()
    found["bf16"] = torch.randn(2, 3, 4).bfloat16()
    found["base"] = base
    found["tied"] = base
    found["rows"] = base[2:4]
    found["columns"] = base[:, 1:4]
    found["transposed"] = base.t()
    found["steps"] = base[1::2, ::3]
    found["turned.bf16"] = torch.randn(3, 2, 4).bfloat16().permute(2, 0, 1)
    found["scalar"] = torch.tensor(2.5)
    found["empty"] = torch.zeros(0, 4)
    found["one"] = base[:1, 3:4]
    found["parameter"] = torch.nn.Parameter(torch.randn(2, 2))
    found["ids"] = torch.arange(5)
    found["mask"] = torch.tensor([True, False, True])
    found["é.weight"] = torch.ones(1)
    return found


def content(tensor: torch.Tensor) -> dict:
    plain = tensor.detach().contiguous()
    data = bytes(plain.reshape(-1).view(torch.uint8).tolist()) if plain.numel() else b""
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "bytes": base64.b64encode(data).decode()}


def state_dict(values: "OrderedDict[str, torch.Tensor]") -> "OrderedDict[str, torch.Tensor]":
    """With the attribute that a module's own state_dict has."""
    values._metadata = OrderedDict({"": {"version": 1}})
    return values


def save(values: object, path: Path, legacy: bool = False) -> None:
    torch.save(values, path, _use_new_zipfile_serialization=not legacy)


class Harm:
    def __reduce__(self):
        return os.system, ("touch harm",)


def main(out: Path, llama: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    (out / "refused").mkdir(parents=True)
    (out / "sharded").mkdir()
    values = state_dict(tensors())
    save(values, out / "archive.bin")
    save(values, out / "legacy.bin", legacy=True)
    listing = {name: content(tensor) for name, tensor in values.items()}
    (out / "tensors.json").write_text(json.dumps(listing, indent=1, ensure_ascii=False) + "\n")

    weights = load_file(llama / "model.safetensors")
    names = sorted(weights)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    index = {"metadata": {}, "weight_map": {}}
    for number, half in enumerate(halves, 1):
        file = f"pytorch_model-{number:05}-of-{len(halves):05}.bin"
        save(OrderedDict((name, weights[name]) for name in half), out / "sharded" / file, legacy=number == 2)
        index["weight_map"].update(dict.fromkeys(half, file))
    (out / "sharded" / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1) + "\n")
    shutil.copy(llama / "config.json", out / "sharded" / "config.json")

    refused = out / "refused"
    save({"harm": Harm()}, refused / "call.bin")
    save({"wide": torch.ones(1).expand(1000, 1000)}, refused / "expanded.bin")
    save({"step": 3}, refused / "number.bin")
    save([torch.ones(1)], refused / "list.bin")
    save({1: torch.ones(1)}, refused / "key.bin")
    save({"complex": torch.ones(2, dtype=torch.complex64)}, refused / "complex.bin")
    compress(out / "archive.bin", refused / "compressed.bin")


def compress(path: Path, to: Path) -> None:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
