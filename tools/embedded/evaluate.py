"""Evaluates the exported model with transformers and writes what it says.

usage: evaluate.py WORK_DIR MODEL_DIR [--samples OUT.md] [--golden OUT.json] [--held N]
"""

import argparse
import json
import math
import pathlib
import random

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

import corpus
from encode import encode_doc

HERE = pathlib.Path(__file__).parent


def load(path):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
    return model.float().eval(), AutoTokenizer.from_pretrained(path)


@torch.no_grad()
def held_loss(model, tok, path, limit):
    """Nats per fully weighted token (answers, and the text of raw documents)."""
    rng = random.Random(5)
    docs = [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines()][:limit]
    total = count = 0
    for doc in docs:
        ids, w = encode_doc(tok, doc, rng)
        x = torch.tensor([ids])
        each = torch.nn.functional.cross_entropy(model(x).logits[0, :-1], x[0, 1:], reduction="none")
        keep = torch.tensor(w[1:]) == 1
        total, count = total + each[keep].sum().item(), count + int(keep.sum())
    return total / count, count


@torch.no_grad()
def long_loss(model, tok, path, length=1024, rows=24):
    """Loss on answers by position when held-out conversations follow each other as one long chat."""
    rng = random.Random(6)
    docs = [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines()]
    chats = [encode_doc(tok, d, rng) for d in docs if d["kind"] == "chat" and d["messages"][0]["role"] == "user"]
    parts = [[0.0, 0] for _ in range(4)]
    for _ in range(rows):
        ids, w = [chats[0][0][0]], [0.0]
        while len(ids) < length:
            more = rng.choice(chats)
            ids, w = ids + more[0][1:], w + more[1][1:]
        x = torch.tensor([ids[:length]])
        each = torch.nn.functional.cross_entropy(model(x).logits[0, :-1], x[0, 1:], reduction="none")
        for at in range(length - 1):
            if w[at + 1] == 1:
                part = parts[at * 4 // length]
                part[0], part[1] = part[0] + each[at].item(), part[1] + 1
    return [round(total / max(count, 1), 4) for total, count in parts]


def seen_questions(path):
    seen = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        doc = json.loads(line)
        texts = [m["content"] for m in doc.get("messages", []) if m["role"] == "user"] + [doc.get("prompt", "")]
        seen.update(corpus.norm(t) for t in texts)
    return seen


def prompt_ids(tok, item):
    if "messages" in item:
        text = tok.apply_chat_template(item["messages"], tokenize=False, add_generation_prompt=True)
        return tok(text, add_special_tokens=False)["input_ids"]
    return tok(item["inputs"])["input_ids"]


@torch.no_grad()
def complete(model, tok, item, limit, temperature=0.0):
    ids = prompt_ids(tok, item)
    extra = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    x = torch.tensor([ids])
    out = model.generate(x, attention_mask=torch.ones_like(x), max_new_tokens=limit, **extra)
    return ids, out[0, len(ids):].tolist()


def shown(text):
    return text.replace("\n", "⏎")


def write_samples(model, tok, prompts, path, seen):
    lines = []
    torch.manual_seed(1)
    for kind, temperature, title in (("greedy", 0.0, "Greedy"), ("sampled", 0.7, "Temperature 0.7")):
        lines.append(f"### {title}\n")
        for item in prompts[kind]:
            _, new = complete(model, tok, item, 120, temperature)
            text = tok.decode(new, skip_special_tokens=False)
            if "messages" in item:
                asked = " / ".join(f"{m['role']}: {m['content']}" for m in item["messages"])
            else:
                asked = "raw: " + item["inputs"]
            last = item["messages"][-1]["content"] if "messages" in item else item["inputs"]
            mark = "" if corpus.norm(last) in seen else " *(new)*"
            lines.append(f"- `{shown(asked)}`{mark}<br>\n  `{shown(text)}`")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("model")
    p.add_argument("--samples")
    p.add_argument("--golden")
    p.add_argument("--held", type=int, default=1000)
    a = p.parse_args()
    torch.set_num_threads(1)
    model, tok = load(a.model)
    fast = Tokenizer.from_file(str(pathlib.Path(a.model) / "tokenizer.json"))
    prompts = json.loads((HERE / "text" / "prompts.json").read_text(encoding="utf-8"))
    if a.held:
        for name in ("held", "held_phrasing"):
            loss, count = held_loss(model, fast, pathlib.Path(a.work) / f"{name}.jsonl", a.held)
            print(f"{name}: {loss:.4f} nats per token, perplexity {math.exp(loss):.3f}, {count} tokens")
        print("held, as long chats, by quarter of 1024 positions:",
              long_loss(model, fast, pathlib.Path(a.work) / "held.jsonl"))
    if a.samples:
        seen = seen_questions(pathlib.Path(a.work) / "train.jsonl")
        write_samples(model, tok, prompts, pathlib.Path(a.samples), seen)
    if a.golden:
        rows = []
        for item in prompts["golden"]:
            ids, new = complete(model, tok, item, 64)
            rows.append({**item, "ids": ids, "output": new})
        body = ",\n".join(" " + json.dumps(r, ensure_ascii=False) for r in rows)
        pathlib.Path(a.golden).write_text(f"[\n{body}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
