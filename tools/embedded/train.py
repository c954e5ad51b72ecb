"""Trains the network on the packed rows and keeps float32 weights.

usage: train.py WORK_DIR [--steps N] [--max-minutes M] [--lr R] [--tokens-per-step N] [--seed S]
                [--init WEIGHTS]
The learning rate follows the larger of step/steps and elapsed/max-minutes, so that a slow machine
still ends with a full decay; with max-minutes 0 only the steps count and the run is repeatable.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F

from model import Llama, Shape


class Rows:
    def __init__(self, arrays, name):
        self.sets = {}
        for length in (256, 512):
            if f"{name}_{length}_ids" in arrays:
                self.sets[length] = [torch.from_numpy(arrays[f"{name}_{length}_{k}"].astype(t))
                                     for k, t in (("ids", np.int64), ("w", np.float32), ("doc", np.int64))]

    def batches(self, tokens, rng=None):
        plan = []
        for length, (ids, _, _) in self.sets.items():
            order = rng.permutation(len(ids)) if rng is not None else np.arange(len(ids))
            size = max(1, tokens // length)
            plan += [(length, order[i:i + size]) for i in range(0, len(order), size)]
        if rng is not None:
            rng.shuffle(plan)
        for length, index in plan:
            yield [part[torch.as_tensor(index)] for part in self.sets[length]]


def losses(model, batch):
    """Weighted sum of token losses, sum of weights, and the same over fully scored tokens."""
    ids, w, doc = batch
    t = ids.shape[1]
    allowed = (doc[:, :, None] == doc[:, None, :]) & torch.ones(t, t, dtype=torch.bool).tril()
    mask = torch.zeros(allowed.shape, dtype=torch.bfloat16).masked_fill(~allowed, -1e4)[:, None]
    target, w = ids[:, 1:].flatten(), w[:, 1:].flatten()
    pick = w.nonzero().squeeze(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = model.hidden(ids, mask)[:, :-1].reshape(-1, model.s.hidden)
        logits = F.linear(h[pick], model.embed_tokens.weight)
    each = F.cross_entropy(logits.float(), target[pick], reduction="none")
    w = w[pick]
    full = w == 1
    return (each * w).sum(), w.sum(), each[full].sum().item(), int(full.sum())


@torch.no_grad()
def evaluate(model, rows):
    total = count = 0
    for batch in rows.batches(8192):
        _, _, s, n = losses(model, batch)
        total, count = total + s, count + n
    return total / count


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("--steps", type=int, default=7000)
    p.add_argument("--max-minutes", type=float, default=0)
    p.add_argument("--lr", type=float, default=2.5e-3)
    p.add_argument("--tokens-per-step", type=int, default=4096)
    p.add_argument("--seed", type=int, default=11)
    p.add_argument("--init", help="weights.pt of an earlier stage")
    for field in dataclasses.fields(Shape):
        if field.type is int:
            p.add_argument(f"--{field.name.replace('_', '-')}", type=int, default=field.default)
    a = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    work = pathlib.Path(a.work)
    shape = Shape(**{f.name: getattr(a, f.name) for f in dataclasses.fields(Shape) if f.type is int})
    model = Llama(shape)
    if a.init:
        model.load_state_dict(torch.load(a.init))
    arrays = np.load(work / "packed.npz")
    train, held = Rows(arrays, "train"), Rows(arrays, "held")
    phrasing = Rows(arrays, "held_phrasing")
    matrices = [q for q in model.parameters() if q.dim() == 2]
    vectors = [q for q in model.parameters() if q.dim() == 1]
    opt = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                            lr=a.lr, betas=(0.9, 0.95), fused=True)
    rng = np.random.default_rng(a.seed)
    print(f"{sum(q.numel() for q in model.parameters())} parameters, {shape}", flush=True)
    log, start, step, seen, epoch, progress = [], time.time(), 0, 0, 0, 0.0
    recent = []
    while progress < 1:
        epoch += 1
        for batch in train.batches(a.tokens_per_step, rng):
            progress = step / a.steps
            if a.max_minutes:
                progress = max(progress, (time.time() - start) / 60 / a.max_minutes)
            if progress >= 1:
                break
            rate = a.lr * min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
            for group in opt.param_groups:
                group["lr"] = rate
            loss, weight, s, n = losses(model, batch)
            (loss / weight).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad()
            step += 1
            seen += batch[0].numel()
            recent.append(s / n)
            if step % 50 == 0:
                entry = {"step": step, "epoch": epoch, "tokens": seen, "seconds": round(time.time() - start),
                         "train": round(float(np.mean(recent)), 4), "rate": rate}
                recent = []
                if step % 500 == 0:
                    entry["held"] = round(evaluate(model, held), 4)
                    entry["phrasing"] = round(evaluate(model, phrasing), 4)
                    torch.save(model.state_dict(), work / "weights.pt")
                log.append(entry)
                print(json.dumps(entry), flush=True)
    last = {"step": step, "epoch": epoch, "tokens": seen, "seconds": round(time.time() - start),
            "held": round(evaluate(model, held), 4), "phrasing": round(evaluate(model, phrasing), 4)}
    log.append(last)
    print(json.dumps(last), flush=True)
    torch.save(model.state_dict(), work / "weights.pt")
    (work / "log.json").write_text(json.dumps({"shape": dataclasses.asdict(shape), "log": log}, indent=1))


if __name__ == "__main__":
    main()
