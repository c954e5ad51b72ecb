"""Builders that turn the tables into exchanges: lists of (user, assistant) turns."""

import copy
import random

import corpus


class Maker:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.q = corpus.load_questions()
        self.topics = corpus.load_topics()
        self.talk = corpus.load_blocks("smalltalk.txt")
        self.lists = corpus.load_blocks("lists.txt")
        self.yesno = corpus.load_blocks("yesno.txt")
        self.tables = corpus.load_tables()
        self.qa = corpus.load_blocks("qa.txt")
        scale = {"topics_ml": 2.5, "topics_computing": 1.4}
        self.weights = [scale.get(t.group, 1.0) * (3 if t.x == "deep learning" else 1) for t in self.topics]
        self.grammar = corpus.load_grammar("grammar.txt")

    # --- topics -----------------------------------------------------------
    def topic_answer(self, t, used, kinds):
        out = []
        for kind in kinds:
            left = [s for s in t.lines[kind] if s not in used]
            if left:
                out.append(self.rng.choice(left))
                used.add(out[-1])
        return " ".join(out)

    def pick_topic(self):
        return self.rng.choices(self.topics, self.weights)[0]

    def fill(self, t, kind):
        phrase = self.rng.choice(self.q[kind])
        if self.rng.random() < 0.15:
            t = copy.copy(t)
            t.x, t.xs = corpus.title(t.x), corpus.title(t.xs)
        return t.fill(phrase)

    def compare_turn(self):
        a = self.pick_topic()
        b = self.rng.choice([t for t in self.topics if t.group == a.group and t is not a])
        ask = a.fill(self.rng.choice(self.q["compare"])).replace("{ys}", b.xs).replace("{y}", b.x)
        return ask, self.rng.choice(a.lines["d"]) + " " + self.rng.choice(b.lines["d"])

    def useful_turn(self):
        t = self.rng.choice([t for t in self.topics if t.lines["u"]])
        return self.fill(t, "useful"), "Yes. " + self.rng.choice(t.lines["u"])

    def long_turn(self):
        t = self.pick_topic()
        rest = [s for k in "ufe" for s in t.lines[k]]
        return self.fill(t, "long"), " ".join([self.rng.choice(t.lines["d"])] + rest[:4])

    def body_kinds(self, t):
        extra = [k for k in "ufe" if t.lines[k]]
        r = self.rng.random()
        if r < 0.40:
            return "d"
        if r < 0.78:
            return "d" + self.rng.choice(extra)
        return "d" + "".join(extra[:2])

    def topic_turns(self, follow=0.35, opening=None):
        rng = self.rng
        t = self.pick_topic()
        used, kind = set(), opening
        if kind is None:
            choices = ["what"] * 6 + ["short"]
            choices += ["why"] * 2 if t.lines["u"] else []
            choices += ["example"] if t.lines["e"] else []
            choices += ["fact"] * 2 if t.lines["f"] else []
            kind = rng.choice(choices)
        ask = self.fill(t, kind)
        kinds = {"short": "d", "why": "u", "example": "e", "fact": "f"}.get(kind) or self.body_kinds(t)
        if kind == "why" and rng.random() < 0.3 and t.lines["e"]:
            kinds = "ue"
        turns = [(ask, self.topic_answer(t, used, kinds))]
        while rng.random() < follow and len(turns) < 5:
            options = []
            for group, pool in (("follow_why", "u"), ("follow_example", "e"), ("follow_again", "d"), ("follow_more", "fue")):
                left = [k for k in pool if any(s not in used for s in t.lines[k])]
                if left:
                    options.append((group, left[0]))
            if not options:
                break
            group, k = rng.choice(options)
            turns.append((rng.choice(self.q[group]), self.topic_answer(t, used, k)))
        return turns

    def topic_raw(self):
        rng = self.rng
        t = self.pick_topic()
        r = rng.random()
        if r < 0.72:
            kind = rng.choice(["what"] * 7 + ["short"])
            kinds = "d" if kind == "short" else self.body_kinds(t) if rng.random() < 0.4 else "d" + "".join(k for k in "ufe" if t.lines[k])[:1]
        elif r < 0.86 and t.lines["u"]:
            kind, kinds = "why", "u"
        elif t.lines["f"]:
            kind, kinds = "fact", "f"
        else:
            kind, kinds = "what", "de"
        return self.fill(t, kind), self.topic_answer(t, set(), kinds)

    def topic_text(self):
        """Plain text that starts with the definition itself."""
        t = self.pick_topic()
        return self.topic_answer(t, set(), "d" + "".join(k for k in "ufe" if t.lines[k])[: self.rng.randrange(1, 3)])

    # --- tables, blocks ---------------------------------------------------
    def table_ask(self):
        weights = [len(rows) ** 0.5 * len(asks) for _, rows, asks in self.tables]
        _, rows, asks = self.rng.choices(self.tables, weights)[0]
        return self.rng.choice(rows), rows, self.rng.choice(asks)

    def fill_row(self, text, row, rows):
        if "animal" in row:
            text = text.replace("{animals}", corpus.plural(row["animal"]))
            text = text.replace("{group}s", corpus.plural(row["group"]))
        if "{other_" in text:
            for key, value in row.items():
                if "{other_" + key + "}" in text:
                    values = [r[key] for r in rows if r[key] != value]
                    text = text.replace("{other_" + key + "}", self.rng.choice(values))
        for key, value in row.items():
            text = text.replace("{^" + key + "}", corpus.capital(value)).replace("{" + key + "}", value)
        return corpus.fix_articles(text.strip())

    def table_turn(self):
        row, rows, ask = self.table_ask()
        u = self.fill_row(self.rng.choice(ask["U"]), row, rows)
        return u, self.fill_row(self.rng.choice(ask["A"]), row, rows)

    def table_text(self):
        while True:
            row, rows, ask = self.table_ask()
            if ask["R"]:
                return self.fill_row(self.rng.choice(ask["R"]), row, rows)

    def block_turn(self, blocks):
        weights = [2.5 if any("Loquent" in s for s in b[1]) else 1 for b in blocks]
        q, a = self.rng.choices(blocks, weights)[0]
        return self.rng.choice(q), self.rng.choice(a)

    # --- names, sums, stories ---------------------------------------------
    def name_turns(self):
        rng, g = self.rng, self.grammar
        made = rng.random() < 0.35
        name = corpus.expand(g, "{^made*}" if made else "{person*}", rng, {})
        b = {"person": name, "made_name": name}
        turns = [tuple(corpus.expand(g, part, rng, b) for part in rng.choice(g["name_intro"]).split(" => "))]
        if rng.random() < 0.3:
            turns.append(self.filler_turn())
        if rng.random() < 0.6:
            turns.append(tuple(corpus.expand(g, part, rng, b) for part in rng.choice(g["name_recall"]).split(" => ")))
        return turns

    def like_turns(self):
        rng, b = self.rng, {}
        pair = rng.choice(self.grammar["like"]).split(" => ")
        turns = [tuple(corpus.expand(self.grammar, part, rng, b) for part in pair)]
        if rng.random() < 0.25:
            turns.append(tuple(corpus.expand(self.grammar, p, rng, b) for p in rng.choice(self.grammar["like_recall"]).split(" => ")))
        return turns

    def sum_turn(self):
        rng = self.rng
        r = rng.random()
        if r < 0.40:
            top = rng.choice([10, 10, 10, 20, 50])
            a, b = rng.randrange(top + 1), rng.randrange(top + 1)
            c, op, word = a + b, "+", "plus"
        elif r < 0.65:
            a = rng.randrange(rng.choice([11, 21]))
            b = rng.randrange(a + 1)
            c, op, word = a - b, "-", "minus"
        elif r < 0.85:
            a, b = rng.randrange(11), rng.randrange(11)
            c, op, word = a * b, "*", "times"
        elif r < 0.93:
            a, b = rng.randrange(100), rng.randrange(100)
            if a == b:
                b += 1
            word = rng.choice(["larger", "bigger", "greater", "smaller"])
            best = min(a, b) if word == "smaller" else max(a, b)
            rest = a + b - best
            return f"Which number is {word}, {a} or {b}?", f"{best} is {word} than {rest}."
        elif r < 0.97:
            a = rng.randrange(100)
            kind = "even" if a % 2 == 0 else "odd"
            return rng.choice([f"Is {a} even or odd?", f"Is {a} an even number?", f"Is the number {a} odd or even?"]), f"{a} is an {kind} number."
        else:
            a = rng.randrange(100)
            return rng.choice([f"What number comes after {a}?", f"What comes after {a}?", f"Which number follows {a}?"]), f"The number {a + 1} comes after {a}."
        form = rng.choice(self.grammar["sum_ask"]).replace("{a}", str(a)).replace("{b}", str(b))
        form = form.replace("{op}", op).replace("{word}", word)
        reply = rng.choice(self.grammar["sum_reply"]).replace("{a}", str(a)).replace("{b}", str(b))
        return form, reply.replace("{c}", str(c)).replace("{op}", op).replace("{word}", word)

    def grammar_turn(self, rule):
        """A rule whose bodies are `question => answer`, sharing their slots."""
        b = {}
        pair = self.rng.choice(self.grammar[rule]).split(" => ")
        return tuple(corpus.expand(self.grammar, part, self.rng, b) for part in pair)

    def begin_text(self):
        return corpus.capital(corpus.expand(self.grammar, self.rng.choice(self.grammar["raw_begin"]), self.rng, {}))

    def story_text(self):
        return corpus.expand(self.grammar, self.rng.choice(self.grammar["story"]), self.rng, {})

    def filler_turn(self):
        r = self.rng.random()
        if r < 0.3:
            return self.block_turn(self.talk)
        if r < 0.5:
            return self.table_turn()
        if r < 0.65:
            return self.sum_turn()
        return self.topic_turns(follow=0)[0]

    def thanks(self):
        return self.rng.choice(self.q["thanks"]), self.rng.choice(self.q["welcome"])
