"""Writes the trained network as a Hugging Face Llama model in bfloat16.

usage: export.py WORK_DIR MODEL_DIR   (MODEL_DIR already holds tokenizer.json from encode.py)
"""

import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file

from encode import BOS, EOS, IM_END, SPECIAL

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("model")
    a = p.parse_args()
    work, out = pathlib.Path(a.work), pathlib.Path(a.model)
    weights = torch.load(work / "weights.pt", map_location="cpu")
    shape = json.loads((work / "log.json").read_text())["shape"]
    save_file({f"model.{k}": v.to(torch.bfloat16).contiguous() for k, v in weights.items()},
              out / "model.safetensors", metadata={"format": "pt"})

    def write(name, value):
        (out / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    write("config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "vocab_size": shape["vocab"], "hidden_size": shape["hidden"],
        "intermediate_size": shape["ffn"], "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"], "num_key_value_heads": shape["kv_heads"],
        "head_dim": shape["hidden"] // shape["heads"], "hidden_act": "silu",
        "max_position_embeddings": 512, "rms_norm_eps": shape["eps"], "rope_theta": shape["theta"],
        "rope_scaling": None, "attention_bias": False, "attention_dropout": 0.0, "mlp_bias": False,
        "tie_word_embeddings": True, "initializer_range": 0.02, "pretraining_tp": 1, "use_cache": True,
        "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": EOS, "torch_dtype": "bfloat16",
    })
    write("generation_config.json", {
        "bos_token_id": BOS, "eos_token_id": [EOS, IM_END], "pad_token_id": EOS,
    })
    write("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512,
        "bos_token": SPECIAL[BOS], "eos_token": SPECIAL[EOS], "pad_token": SPECIAL[EOS],
        "add_bos_token": True, "add_eos_token": False, "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {str(i): {"content": t, "lstrip": False, "normalized": False,
                                          "rstrip": False, "single_word": False, "special": True}
                                 for i, t in enumerate(SPECIAL)},
        "chat_template": TEMPLATE,
    })
    write("special_tokens_map.json", {
        "bos_token": SPECIAL[BOS], "eos_token": SPECIAL[EOS], "pad_token": SPECIAL[EOS],
        "additional_special_tokens": SPECIAL[2:],
    })
    print({f.name: f.stat().st_size for f in sorted(out.iterdir())}, sum(f.stat().st_size for f in out.iterdir()))


if __name__ == "__main__":
    main()
