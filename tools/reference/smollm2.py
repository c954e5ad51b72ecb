"""Greedy continuations of SmolLM2-135M-Instruct by transformers in float32, from the dequantized GGUF file.

    python smollm2.py MODEL.gguf OUT.json [PROMPTS.json]

For every prompt: the ids, 64 greedy tokens (the end token does not stop them), and at each step the runner-up and how
far the top logit stood above it.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import jinja2
import numpy as np
import torch
from gguf import GGUFReader, dequantize
from llama_cpp import Llama
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

TOKENS = 64
TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def read_config(reader: GGUFReader) -> LlamaConfig:
    def get(key: str):
        return reader.fields[f"llama.{key}"].contents()

    return LlamaConfig(
        vocab_size=get("vocab_size"),
        hidden_size=get("embedding_length"),
        intermediate_size=get("feed_forward_length"),
        num_hidden_layers=get("block_count"),
        num_attention_heads=get("attention.head_count"),
        num_key_value_heads=get("attention.head_count_kv"),
        max_position_embeddings=get("context_length"),
        rms_norm_eps=get("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": get("rope.freq_base")},
        tie_word_embeddings=all(t.name != "output.weight" for t in reader.tensors),
    )


def hub_name(name: str) -> str:
    stem, kind = name.rsplit(".", 1)
    if stem in OUTER:
        return f"{OUTER[stem]}.{kind}"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{TENSORS[part]}.{kind}"


def split_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a head from pairs (GGUF rotates neighbours) to halves (transformers rotates across the middle)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def read_weights(reader: GGUFReader, config: LlamaConfig) -> dict[str, torch.Tensor]:
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        part = tensor.name.split(".")[-2]
        if part in heads:
            values = split_halves(values, heads[part])
        weights[hub_name(tensor.name)] = torch.from_numpy(np.ascontiguousarray(values))
    return weights


def load_model(reader: GGUFReader) -> LlamaForCausalLM:
    config = read_config(reader)
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config).float()
    missing, unexpected = model.load_state_dict(read_weights(reader, config), strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model.eval()


def prompt_text(prompt: dict, template: str) -> str:
    if "text" in prompt:
        return prompt["text"]
    messages = [{"role": role, "content": prompt[role]} for role in ("system", "user") if role in prompt]
    # Trim and lstrip as transformers renders templates.
    engine = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    return engine.from_string(template).render(messages=messages, add_generation_prompt=True)


def continue_greedily(model: LlamaForCausalLM, ids: list[int]) -> dict:
    cache, step = DynamicCache(config=model.config), torch.tensor([ids])
    output, second, margins = [], [], []
    while len(output) < TOKENS:
        logits = model(step, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]
        top = torch.topk(logits, 2)
        output.append(int(top.indices[0]))
        second.append(int(top.indices[1]))
        margins.append(round(float(top.values[0] - top.values[1]), 5))
        step = top.indices[:1].unsqueeze(0)
    return {"output": output, "second": second, "margins": margins}


def one_a_line(facts: dict, prompts: list[dict]) -> str:
    head = json.dumps(facts)[:-1]
    rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in prompts)
    return f'{head}, "prompts": [\n{rows}\n]}}\n'


def main(model_path: str, out: str, prompts_path: str = str(Path(__file__).with_name("smollm2-prompts.json"))) -> None:
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    reader = GGUFReader(model_path)
    model = load_model(reader)
    tokenizer = Llama(model_path=model_path, vocab_only=True, verbose=False)
    template = reader.fields["tokenizer.chat_template"].contents()
    rows = []
    for prompt in json.loads(Path(prompts_path).read_text()):
        text = prompt_text(prompt, template)
        ids = tokenizer.tokenize(text.encode(), add_bos=False, special=True)
        start = time.perf_counter()
        found = continue_greedily(model, ids)
        rows.append({"name": prompt["name"], "text": text, "ids": ids, **found})
        said = tokenizer.detokenize(found["output"], special=True).decode(errors="replace")
        print(f"{prompt['name']} ({len(ids)} ids, {time.perf_counter() - start:.1f} s): {said!r}", flush=True)
    digest = hashlib.sha256(Path(model_path).read_bytes()).hexdigest()
    Path(out).write_text(one_a_line({"model": Path(model_path).name, "sha256": digest}, rows))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
