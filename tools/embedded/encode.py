"""Trains the tokenizer and turns the documents into packed token rows.

usage: encode.py WORK_DIR MODEL_DIR [--vocab N] [--keep-tokenizer]
"""

import argparse
import json
import pathlib
import random

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"]
BOS, EOS, IM_START, IM_END = range(4)
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_tokenizer(texts, vocab):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tok.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[0]} $A", pair=f"{SPECIAL[0]} $A {SPECIAL[0]} $B",
        special_tokens=[(SPECIAL[0], BOS)])
    return tok


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def encode_doc(tok, doc, rng):
    """Token ids and the weight of each as a target of the loss."""
    ids, weight = [BOS], [0.0]

    def add(text, w):
        part = tok.encode(text, add_special_tokens=False).ids
        ids.extend(part)
        weight.extend([w] * len(part))

    if doc["kind"] == "raw":
        # A prompt ends where the user stops typing, so the break after it is a token of its own;
        # the other form is for prompts that already end with the break.
        sep = doc["sep"]
        if doc["prompt"] and (sep == " " or sep == "\n\n" and rng.random() < 0.8):
            add(doc["prompt"], 0.1)
            add(sep + doc["text"], 1.0)
        elif doc["prompt"]:
            add(doc["prompt"] + sep, 0.1)
            add(doc["text"], 1.0)
        else:
            add(doc["text"], 1.0)
        ids.append(EOS)
        weight.append(1.0)
        return ids, weight
    for m in doc["messages"]:
        answer = m["role"] == "assistant"
        ids.append(IM_START)
        weight.append(0.0)
        add(m["role"] + "\n", 0.0)
        add(m["content"], 1.0 if answer else 0.0)
        ids.append(IM_END)
        weight.append(1.0 if answer else 0.0)
        add("\n", 0.0)
    return ids, weight


def pack(docs, length, rng):
    """First-fit packing into rows; each row holds ids, weights and document numbers."""
    docs = sorted(docs, key=lambda d: -len(d[0]))
    rows, room = [], {}
    for ids, weight in docs:
        size = len(ids)
        fit = next((r for r in range(size, length + 1) if room.get(r)), None)
        if fit is None:
            rows.append([])
            index, left = len(rows) - 1, length
        else:
            index, left = room[fit].pop(), fit
        rows[index].append((ids, weight))
        room.setdefault(left - size, []).append(index)
    out_ids = np.full((len(rows), length), EOS, dtype=np.int16)
    out_w = np.zeros((len(rows), length), dtype=np.float16)
    out_doc = np.zeros((len(rows), length), dtype=np.int16)
    for i, row in enumerate(rows):
        rng.shuffle(row)
        at = 0
        for n, (ids, weight) in enumerate(row):
            end = at + len(ids)
            out_ids[i, at:end] = ids
            out_w[i, at:end] = weight
            out_doc[i, at:end] = n + 1
            at = end
    return out_ids, out_w, out_doc


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("model")
    p.add_argument("--vocab", type=int, default=2560)
    p.add_argument("--keep-tokenizer", action="store_true")
    a = p.parse_args()
    work, model = pathlib.Path(a.work), pathlib.Path(a.model)
    model.mkdir(parents=True, exist_ok=True)
    train = read(work / "train.jsonl")
    path = model / "tokenizer.json"
    if a.keep_tokenizer:
        tok = Tokenizer.from_file(str(path))
    else:
        texts = []
        for d in train[:30000]:
            texts += [d["prompt"], d["sep"] + d["text"]] if d["kind"] == "raw" else [m["content"] for m in d["messages"]]
        tok = train_tokenizer(texts + ["system\n", "user\n", "assistant\n"] * 50, a.vocab)
        tok.save(str(path))
    rng = random.Random(3)
    sets = {"train": train, "held": read(work / "held.jsonl"), "held_phrasing": read(work / "held_phrasing.jsonl")}
    arrays = {}
    for name, docs in sets.items():
        coded = [encode_doc(tok, d, rng) for d in docs]
        total = sum(len(c[0]) for c in coded)
        scored = sum(1 for c in coded for w in c[1] if w == 1)
        for length, part in ((256, [c for c in coded if len(c[0]) <= 256]),
                             (512, [c for c in coded if 256 < len(c[0]) <= 512])):
            if part:
                for key, value in zip(("ids", "w", "doc"), pack(part, length, rng)):
                    arrays[f"{name}_{length}_{key}"] = value
        print(f"{name}: {len(docs)} documents, {total} tokens, {scored} scored, "
              f"{sum(len(c[0]) > 512 for c in coded)} dropped as too long, "
              f"rows {[v.shape for k, v in arrays.items() if k.startswith(name + '_') and k.endswith('ids')]}")
    np.savez(work / "packed.npz", **arrays)
    print(f"vocabulary {tok.get_vocab_size()}, tokenizer {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
