"""Writes tiny random checkpoints of the Llama family and what transformers computes from them.

    python llama_goldens.py OUT [CASE ...]

A folder a case: config.json as transformers saves it, config-old.json where the case has an older shape of it, the
weights, golden.safetensors (ids.N, logits.N, greedy.N, margin.N, and for some cases the same run token by token),
golden.json (what the case is for, and how firm its numbers are).
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, GenerationConfig, LlamaConfig, MistralConfig
from transformers.utils import logging

from llama_cases import CASES, Case

CONTINUATION = 24
# A greedy path that comes nearer to a tie than this is thrown away: rounding alone could turn it.
MARGIN = 0.01
WEIGHT_STD = 0.25
TRIES = 400


def seed(*words: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(words).encode()))


def fill(model: torch.nn.Module, rng: np.random.Generator) -> None:
    """Norms near one, all else wide enough that attention is far from uniform and logits from ties."""
    for name, parameter in model.named_parameters():
        noise = torch.from_numpy(rng.standard_normal(tuple(parameter.shape)).astype(np.float32))
        parameter.data = 1 + 0.2 * noise if "norm" in name else WEIGHT_STD * noise


def write_checkpoint(case: Case, folder: Path) -> None:
    kind = {"llama": LlamaConfig, "mistral": MistralConfig}[case.family]
    config = kind(bos_token_id=1, eos_token_id=2, **json.loads(json.dumps(case.config)))
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fill(model, seed("weights", case.weights or case.name))
    model.to(getattr(torch, case.dtype)).save_pretrained(folder, max_shard_size=case.shard or "1GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    if case.old is not None:
        write_old_config(case, folder)


def write_old_config(case: Case, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for key in ("rope_parameters", *case.old_without):
        config.pop(key, None)
    config["torch_dtype"] = config.pop("dtype")
    config = dict(sorted((config | case.old).items()))
    (folder / "config-old.json").write_text(json.dumps(config, indent=2) + "\n")


def load(folder: Path, config: str = "config.json") -> torch.nn.Module:
    settings = AutoConfig.from_pretrained(folder / config)
    return AutoModelForCausalLM.from_pretrained(
        folder, config=settings, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def renew_rope(model: torch.nn.Module) -> None:
    """Forgets what the rotary tables learnt of earlier, longer sequences: dynamic scaling remembers them."""
    rotary = model.model.rotary_emb
    model.model.rotary_emb = type(rotary)(model.config).to(rotary.inv_freq.device)


def forward(model: torch.nn.Module, ids: list[int]) -> np.ndarray:
    renew_rope(model)
    return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()


def margins(rows: np.ndarray) -> np.ndarray:
    top = np.sort(rows, axis=-1)[:, -2:]
    return top[:, 1] - top[:, 0]


def generate(model: torch.nn.Module, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    renew_rope(model)
    plan = GenerationConfig(
        do_sample=False, max_new_tokens=CONTINUATION, pad_token_id=0, return_dict_in_generate=True, output_logits=True
    )
    prompt = torch.tensor([ids])
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=plan)
    return out.sequences[0, len(ids) :].numpy(), margins(torch.cat(out.logits).numpy())


def stepwise(model: torch.nn.Module, ids: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every token alone through the cache: prompt logits, then the greedy continuation and its margins."""
    renew_rope(model)
    cache, rows, tokens = DynamicCache(config=model.config), [], list(ids)
    while len(rows) < len(ids) + CONTINUATION - 1:
        token = torch.tensor([[tokens[len(rows)]]])
        rows.append(model(token, past_key_values=cache, use_cache=True).logits[0, -1].numpy())
        if len(rows) >= len(ids):
            tokens.append(int(rows[-1].argmax()))
    rows = np.stack(rows)
    return rows[: len(ids)], np.array(tokens[len(ids) :]), margins(rows[len(ids) - 1 :])


def sequence(case: Case, model: torch.nn.Module, ids: list[int]) -> dict[str, np.ndarray]:
    greedy, margin = generate(model, ids)
    found = {"ids": np.array(ids), "logits": forward(model, ids), "greedy": greedy, "margin": margin}
    if case.stateful:
        found |= dict(zip(("stepLogits", "stepGreedy", "stepMargin"), stepwise(model, ids)))
    return {key: value.astype(np.float32 if value.dtype.kind == "f" else np.int32) for key, value in found.items()}


def is_firm(found: dict[str, np.ndarray]) -> bool:
    return all(found[key].min() > MARGIN for key in ("margin", "stepMargin") if key in found)


def firm_sequence(case: Case, model: torch.nn.Module, length: int) -> dict[str, np.ndarray]:
    rng = seed("prompt", case.name, str(length))
    for _ in range(TRIES):
        found = sequence(case, model, rng.integers(3, case.config["vocab_size"], length).tolist())
        if is_firm(found):
            return found
    raise SystemExit(f"{case.name}: no prompt of {length} tokens stays clear of ties")


def check(case: Case, folder: Path, model: torch.nn.Module, found: list[dict[str, np.ndarray]]) -> None:
    """What must hold whatever the numbers: the cache changes nothing, and an old config says the same."""
    for one in found:
        if not case.stateful:
            whole = forward(model, [*one["ids"].tolist(), *one["greedy"].tolist()])
            assert (whole[len(one["ids"]) - 1 : -1].argmax(-1) == one["greedy"]).all(), case.name
    if case.old is not None:
        old = load(folder, "config-old.json")
        for one in found:
            assert (forward(old, one["ids"].tolist()) == one["logits"]).all(), case.name


def rounding(folder: Path, found: list[dict[str, np.ndarray]]) -> float:
    """The largest distance of these float32 logits from the same pass in float64 (rope tables stay float32)."""
    model = load(folder).double()
    return max(float(np.abs(forward(model, one["ids"].tolist()) - one["logits"]).max()) for one in found)


def write_golden(case: Case, folder: Path) -> None:
    model = load(folder)
    found = [firm_sequence(case, model, length) for length in case.lengths]
    check(case, folder, model, found)
    tensors = {f"{key}.{i}": value for i, one in enumerate(found) for key, value in one.items()}
    save_file(tensors, folder / "golden.safetensors")
    facts = {
        "note": case.note,
        "sequences": len(found),
        "lengths": list(case.lengths),
        "stepwise": case.stateful,
        "smallestMargin": round(min(float(one["margin"].min()) for one in found), 4),
        "largestLogit": round(max(float(np.abs(one["logits"]).max()) for one in found), 2),
        "roundingOfReference": float(f"{rounding(folder, found):.1e}"),
    }
    (folder / "golden.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(case.name, facts)


def main(out: str, *names: str) -> None:
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    for case in CASES:
        if names and case.name not in names:
            continue
        folder = Path(out) / case.name
        folder.mkdir(parents=True, exist_ok=True)
        write_checkpoint(case, folder)
        write_golden(case, folder)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
