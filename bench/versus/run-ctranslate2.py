"""CTranslate2 on the weights of a Llama GGUF file: tokens a second for 1, 8 and 32 streams, and of a prompt.

Needs transformers with accelerate and gguf, torch and ctranslate2. JSON on the last line.

    python bench/versus/run-ctranslate2.py --model smol-BF16.gguf --scratch FOLDER [--threads 1,2] [--types int8,float32]
"""

import argparse
import json
import os
import random
import statistics
import time


def hugging_face_folder(gguf, into):
    """A checkpoint of the dequantized weights; transformers refuses to save what it read from a GGUF file, a copy it saves."""
    if os.path.exists(os.path.join(into, "config.json")):
        return
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, file = os.path.split(os.path.abspath(gguf))
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file)
    config = type(read.config)(**{k: v for k, v in read.config.to_dict().items() if k != "quantization_config"})
    copy = type(read)(config)
    copy.load_state_dict(read.state_dict())
    copy.to(torch.bfloat16).save_pretrained(into)
    AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(into)


def convert(folder, into, kind):
    from ctranslate2.converters import TransformersConverter

    if not os.path.exists(os.path.join(into, "model.bin")):
        TransformersConverter(folder, copy_files=["tokenizer.json"]).convert(into, quantization=kind, force=True)


def rate(generator, tokens, batch, prompt, new):
    prompts = [[random.choice(tokens) for _ in range(prompt)] for _ in range(batch)]
    begin = time.perf_counter()
    generator.generate_batch(
        prompts, max_length=new, min_length=new, include_prompt_in_result=False, end_token=[], max_batch_size=batch
    )
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--types", default="int8,float32")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    folder = os.path.join(given.scratch, "hf")
    hugging_face_folder(given.model, folder)
    from ctranslate2 import Generator
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = set(tokenizer.all_special_tokens)
    tokens = [t for t in tokenizer.get_vocab() if t not in special]
    results = []
    for kind in given.types.split(","):
        converted = os.path.join(given.scratch, f"ct2-{kind}")
        convert(folder, converted, kind)
        for threads in [int(t) for t in given.threads.split(",")]:
            generator = Generator(converted, device="cpu", compute_type=kind, inter_threads=1, intra_threads=threads)
            rate(generator, tokens, 1, 16, 4)
            row = {"type": kind, "threads": threads}
            for batch in (1, 8, 32):
                # The prompt's own time comes off: what is left is generation.
                long = statistics.median(rate(generator, tokens, batch, 16, 33) for _ in range(given.rounds))
                short = statistics.median(rate(generator, tokens, batch, 16, 1) for _ in range(given.rounds))
                row[f"decode {batch}"] = 32 * batch / (long - short)
            first = statistics.median(rate(generator, tokens, 1, 512, 1) for _ in range(given.rounds))
            row["prefill 512"] = 512 / first
            results.append(row)
            print(", ".join(f"{k}: {v:.1f}" if isinstance(v, float) else f"{k}: {v}" for k, v in row.items()))
    print(json.dumps({"bench": "ctranslate2", "results": results}))


if __name__ == "__main__":
    main()
