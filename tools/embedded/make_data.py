"""Writes the training and held-out documents as JSON lines.

usage: make_data.py WORK_DIR [--docs N] [--seed S] [--focus]
A document is {"kind": "chat", "messages": [...]} or {"kind": "raw", "prompt": "...", "text": "..."}.
"""

import argparse
import json
import pathlib

import corpus
from builders import Maker

RAW_FORMS = ["Q: {q}\nA:", "Question: {q}\nAnswer:", "User: {q}\nAssistant:",
             "### Instruction:\n{q}\n\n### Response:"]
HELD_ONE_IN = 40  # one question text in so many is never trained on


class Mixer:
    def __init__(self, seed, focus=False):
        self.focus = focus
        self.m = Maker(seed)
        self.rng = self.m.rng
        self.held = False

    def ask(self, text, exact=False):
        """The user's text as typed; marks the document as held out when its question is."""
        if corpus.bucket(text, HELD_ONE_IN) == 0 and corpus.norm(text) != "what is deep learning":
            self.held = True
        return corpus.capital(text) if exact else corpus.noisy(text, self.rng)

    def turns(self):
        """One subject: turns of (user, assistant) or (user, assistant, "exact") without typing noise."""
        m, rng = self.m, self.rng

        def exact(rule):
            return [(*m.grammar_turn(rule), "exact")]

        makers = [
            (34, m.topic_turns), (3, lambda: [m.compare_turn()]), (1, lambda: [m.useful_turn()]),
            (3, lambda: [m.long_turn()]), (14, lambda: [m.table_turn()]), (11, lambda: [m.block_turn(m.talk)]),
            (6, lambda: [m.block_turn(m.lists)]), (8, lambda: [m.block_turn(m.qa)]),
            (2, lambda: [m.block_turn(m.yesno)]), (6, lambda: [m.sum_turn()]), (4, m.name_turns),
            (2, m.like_turns), (3.5, lambda: [m.grammar_turn("tell_story")]), (2, lambda: [m.grammar_turn("poem")]),
            (2.5, lambda: [m.grammar_turn("unknown_ask")]), (0.7, lambda: [m.grammar_turn("choose")]),
            (2.5, lambda: exact("repeat")), (1, lambda: exact("list_ask")), (1.5, lambda: exact("context_ask")),
        ]
        if self.focus:  # a second, short stage: more of what the first one leaves weak
            makers += [(35, lambda: [m.sum_turn()]), (7, lambda: [m.block_turn(m.talk)]), (4, m.name_turns),
                       (3, lambda: exact("repeat")), (2, lambda: exact("context_ask"))]
        turns = rng.choices([f for _, f in makers], [w for w, _ in makers])[0]()
        if rng.random() < 0.04 and len(turns[0]) == 2 and turns[0][0][:2] not in ("Hi", "He"):
            u, a = turns[0]
            hello = rng.choice(["Hello!", "Hi!", "Hi there!", "Good morning!", "Hey!"])
            answer = a if rng.random() < 0.4 or a.startswith("Hello") else "Hello! " + corpus.capital(a)
            turns = [(hello + " " + corpus.capital(u), answer)] + turns[1:]
        return turns

    def chat(self):
        m, rng = self.m, self.rng
        system, turns = None, []
        r = rng.random()
        if r < 0.03:
            system = rng.choice(m.q["system_short"])
            if rng.random() < 0.7:
                t = m.pick_topic()
                turns = [(m.fill(t, rng.choice(["what", "short"])), rng.choice(t.lines["d"]))]
            else:
                turns = [m.table_turn()]
        else:
            if r < 0.25:
                system = rng.choice(m.q["system"])
            if rng.random() < 0.08:
                turns.append(m.block_turn(m.talk[:3]))
            for _ in range(rng.choice([1] * 13 + [2] * 4 + [3, 4, 6, 9])):
                turns += self.turns()
            if len(turns) > 1 and rng.random() < 0.3 or rng.random() < 0.05:
                turns.append(m.thanks())
        messages = [{"role": "system", "content": system}] if system else []
        for u, a, *flag in turns:
            exact = bool(flag)
            messages.append({"role": "user", "content": self.ask(u, exact)})
            messages.append({"role": "assistant", "content": a if exact else corpus.capital(a)})
        return {"kind": "chat", "messages": messages}

    def raw(self):
        m, rng = self.m, self.rng
        exact = False
        r = rng.random()
        if r < 0.46:
            u, a = m.topic_raw()
        elif r < 0.48:
            u, a = m.long_turn()
        elif r < 0.56:
            u, a = m.table_turn()
        elif r < 0.64:
            u, a = m.block_turn(rng.choice([m.qa, m.qa, m.lists, m.yesno]))
        elif r < 0.67:
            u, a = m.block_turn(m.talk)
        elif r < 0.69:
            u, a = m.sum_turn()
        elif r < 0.71:
            u, a = m.grammar_turn(rng.choice(["tell_story", "poem", "unknown_ask"]))
        elif r < 0.72:
            u, a = m.grammar_turn(rng.choice(["context_ask", "repeat"]))
            exact = True
        else:
            make = rng.choices([m.topic_text, m.table_text, m.story_text, m.begin_text], [10, 6, 6, 6])[0]
            return {"kind": "raw", "prompt": "", "sep": "", "text": make()}
        ask, answer = self.ask(u, exact), a if exact else corpus.capital(a)
        style = rng.random()
        sep = "\n\n"
        if style < 0.20:
            form = rng.choice(RAW_FORMS)
            ask, sep = form.replace("{q}", ask), " "
            if form.endswith("Response:"):
                sep = "\n"
        elif style < 0.25:
            sep = "\n"
        return {"kind": "raw", "prompt": ask, "sep": sep, "text": answer}

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
    p.add_argument("--docs", type=int, default=100000)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--focus", action="store_true")
    a = p.parse_args()
    work = pathlib.Path(a.work)
    work.mkdir(parents=True, exist_ok=True)
    mixer = Mixer(a.seed, a.focus)
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
