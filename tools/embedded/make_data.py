"""Writes the training and held-out documents as JSON lines.

usage: make_data.py WORK_DIR [--docs N] [--seed S]
A document is {"kind": "chat", "messages": [...]} or {"kind": "raw", "prompt": "...", "text": "..."}.
"""

import argparse
import json
import pathlib

import corpus
from builders import Maker

HELD_ONE_IN = 40  # one question text in so many is never trained on


class Mixer:
    def __init__(self, seed):
        self.m = Maker(seed)
        self.rng = self.m.rng
        self.held = False

    def ask(self, text):
        """The user's text as typed; marks the document as held out when its question is."""
        if corpus.bucket(text, HELD_ONE_IN) == 0 and corpus.norm(text) != "what is deep learning":
            self.held = True
        return corpus.noisy(text, self.rng)

    def turns(self):
        m, r = self.m, self.rng.random()
        if r < 0.40:
            return m.topic_turns()
        if r < 0.56:
            return [m.table_turn()]
        if r < 0.68:
            return [m.block_turn(m.talk)]
        if r < 0.74:
            return [m.block_turn(m.lists)]
        if r < 0.77:
            return [m.block_turn(m.yesno)]
        if r < 0.82:
            return [m.sum_turn()]
        if r < 0.86:
            return m.name_turns()
        if r < 0.89:
            return m.like_turns()
        if r < 0.93:
            return [m.grammar_turn("tell_story")]
        if r < 0.95:
            return [m.grammar_turn("poem")]
        return [m.grammar_turn(self.rng.choice(["unknown_ask", "repeat", "list_ask", "choose"]))]

    def chat(self):
        m, rng = self.m, self.rng
        system, turns = None, []
        r = rng.random()
        if r < 0.03:
            system = rng.choice(m.q["system_short"])
            turns = m.topic_turns(follow=0, opening="short") if rng.random() < 0.4 else [m.table_turn()]
            if rng.random() < 0.4:
                topic = rng.choice(m.topics)
                turns = [(topic.fill(rng.choice(m.q["what"])), rng.choice(topic.lines["d"]))]
        else:
            if r < 0.22:
                system = rng.choice(m.q["system"])
            if rng.random() < 0.08:
                turns.append(m.block_turn(m.talk[:3]))
            want = rng.choice([1] * 12 + [2] * 4 + [3, 4, 6])
            for _ in range(want):
                turns += self.turns()
            if len(turns) > 1 and rng.random() < 0.3 or rng.random() < 0.05:
                turns.append(m.thanks())
        messages = [{"role": "system", "content": system}] if system else []
        for u, a in turns:
            messages.append({"role": "user", "content": self.ask(u)})
            messages.append({"role": "assistant", "content": corpus.capital(a)})
        return {"kind": "chat", "messages": messages}

    def raw(self):
        m, rng = self.m, self.rng
        r = rng.random()
        if r < 0.52:
            u, a = m.topic_raw()
        elif r < 0.62:
            u, a = m.table_turn()
        elif r < 0.66:
            u, a = m.block_turn(m.lists + m.yesno)
        elif r < 0.69:
            u, a = m.block_turn(m.talk)
        elif r < 0.72:
            u, a = m.sum_turn()
        elif r < 0.84:
            return {"kind": "raw", "prompt": "", "text": m.topic_text()}
        elif r < 0.92:
            return {"kind": "raw", "prompt": "", "text": m.table_text()}
        else:
            return {"kind": "raw", "prompt": "", "text": m.story_text()}
        return {"kind": "raw", "prompt": self.ask(u), "text": corpus.capital(a)}

    def document(self):
        self.held = False
        doc = self.raw() if self.rng.random() < 0.27 else self.chat()
        return doc, self.held

    def held_phrasing(self):
        """A question in one of the phrasings that training never shows for any topic."""
        m = self.m
        t = self.rng.choice(m.topics)
        ask = t.fill(self.rng.choice(m.q["held_what"]))
        answer = m.topic_answer(t, set(), m.body_kinds(t))
        return {"kind": "chat", "messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("--docs", type=int, default=60000)
    p.add_argument("--seed", type=int, default=7)
    a = p.parse_args()
    work = pathlib.Path(a.work)
    work.mkdir(parents=True, exist_ok=True)
    mixer = Mixer(a.seed)
    train, held, seen = [], [], set()
    while len(train) < a.docs:
        doc, is_held = mixer.document()
        line = json.dumps(doc, ensure_ascii=False)
        if line in seen and mixer.rng.random() < 0.7:
            continue
        seen.add(line)
        if not is_held:
            train.append(line)
        elif len(held) < 1000:
            held.append(line)
    phrasing = [json.dumps(mixer.held_phrasing(), ensure_ascii=False) for _ in range(400)]
    for name, rows in (("train", train), ("held", held), ("held_phrasing", phrasing)):
        (work / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{len(train)} training, {len(held)} held out, {len(phrasing)} in held-out phrasings, "
          f"{len(mixer.m.topics)} topics")


if __name__ == "__main__":
    main()
