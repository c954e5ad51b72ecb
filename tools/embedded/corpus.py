"""Readers for the plain-text tables in text/ and small text helpers."""

import hashlib
import pathlib
import random
import re

TEXT = pathlib.Path(__file__).parent / "text"


def lines_of(name):
    for line in (TEXT / name).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("##"):
            yield line.rstrip()


class Topic:
    """One subject with definitions (d), uses (u), examples (e) and facts (f)."""

    def __init__(self, header, group):
        self.group = group
        names = [part.strip() for part in header.split(";")]
        self.x = names[0]
        self.xs = names[-1]
        self.plural = len(names) > 1 or self.x.startswith("+")
        self.x = self.x.lstrip("+")
        self.xs = self.xs.lstrip("+")
        self.lines = {"d": [], "u": [], "e": [], "f": []}

    def fill(self, phrase):
        phrase = phrase.replace("{be}", "are" if self.plural else "is")
        if self.plural and self.x == self.xs:
            phrase = phrase.replace(" is {x}", " are {x}").replace("What's", "What are")
            phrase = phrase.replace("does {x} mean", "are {x}").replace("{x} is", "{x} are")
        return phrase.replace("{xs}", self.xs).replace("{x}", self.x)


def load_topics():
    topics = []
    for path in sorted(TEXT.glob("topics_*.txt")):
        for line in lines_of(path.name):
            if line.startswith("# "):
                topics.append(Topic(line[2:], path.stem))
            else:
                topics[-1].lines[line[0]].append(line[2:].strip())
    for t in topics:
        assert t.lines["d"] and any(t.lines[k] for k in "ufe"), t.x
    return topics


def load_questions():
    groups, current = {}, None
    for line in lines_of("questions.txt"):
        if line.startswith("["):
            current = groups.setdefault(line.strip("[]"), [])
        elif not line.startswith("# "):
            current.append(line)
    return groups


def load_blocks(name):
    """Blocks of `U a | b` followed by `A answer` lines."""
    blocks = []
    for line in lines_of(name):
        body = line[2:].replace("\\n", "\n")
        if line[0] == "U":
            blocks.append(([q.strip() for q in body.split(" | ")], []))
        else:
            blocks[-1][1].append(body)
    assert all(q and a for q, a in blocks)
    return blocks


def load_tables():
    """Tables of rows with question blocks: a list of (columns, rows, asks)."""
    tables = []
    for path in sorted(TEXT.glob("table_*.txt")):
        for line in lines_of(path.name):
            if line.startswith("@table"):
                tables.append((line.split()[1:], [], []))
                continue
            columns, rows, asks = tables[-1]
            if line.startswith("U "):
                asks.append({"U": line[2:].split(" | "), "A": [], "R": []})
            elif line.startswith(("A ", "R ")):
                asks[-1][line[0]] += line[2:].split(" | ")
            else:
                cells = [c.strip() for c in line.split(";")]
                assert len(cells) == len(columns), line
                rows.append(dict(zip(columns, cells)))
    return tables


def load_grammar(name):
    rules = {}
    for line in lines_of(name):
        if line.startswith("# "):
            continue
        key, _, body = line.partition(":")
        rules.setdefault(key.strip(), []).extend(b.strip() for b in body.split(" | "))
    return rules


def expand(rules, text, rng, bound):
    """Fills {slots}; a slot met before keeps its value, {slot*} is drawn anew."""

    def one(match):
        key = match.group(2)
        if match.group(1):
            return capital(expand(rules, "{" + key + "}", rng, bound))
        if key.endswith("*"):
            return expand(rules, rng.choice(rules[key[:-1]]), rng, bound)
        if key not in bound:
            bound[key] = expand(rules, rng.choice(rules[re.sub(r"\d$", "", key)]), rng, bound)
        return bound[key]

    return fix_articles(re.sub(r"\{(\^?)([a-z_]+\d?\*?)\}", one, text).replace("\\n", "\n"))


def fix_articles(text):
    return re.sub(r"\b([Aa]) (?=[aeioAEIO]\w|un(?!i)|um)", r"\1n ", text)


def capital(text):
    return text[:1].upper() + text[1:]


def norm(text):
    return re.sub(r"[^a-z0-9+*/ -]", "", text.lower()).strip()


def bucket(text, size):
    return int.from_bytes(hashlib.sha256(norm(text).encode()).digest()[:4], "big") % size


ASKING = set("what why how who when where which can do does is are will should would could may".split())
TELLING = set("tell explain give write name list say describe define recommend translate i my it you".split())
SMALL = set("a an the of in and to".split())


def title(text):
    return " ".join(w if w in SMALL else capital(w) for w in text.split(" "))


def plural(noun):
    special = {"mouse": "mice", "wolf": "wolves", "sheep": "sheep", "deer": "deer", "salmon": "salmon",
               "butterfly": "butterflies", "goose": "geese", "fish": "fish"}
    if noun in special:
        return special[noun]
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def noisy(text, rng: random.Random):
    """How people type: missing capitals, missing marks, greetings, now and then a typo."""
    r = rng.random()
    if r < 0.16:
        text = text.lower()
    elif r < 0.20:
        text = " ".join(w[:1].upper() + w[1:] for w in text.split(" "))
    elif r < 0.21:
        text = text.upper()
    else:
        text = capital(text)
    first = text.split(" ")[0].lower()
    if text[-1].isalpha() and rng.random() < 0.6:
        text += "?" if first in ASKING else "." if first in TELLING else ""
    r = rng.random()
    if r < 0.12:
        text = text.rstrip("?.!")
    elif r < 0.14:
        text = text.rstrip("?.!") + rng.choice(["??", "!", " ?", "...", "?!"])
    r = rng.random()
    if r < 0.03:
        text = rng.choice(["Hi! ", "Hello, ", "Hey, ", "Hi, ", "Please: ", "Ok. ", "So, "]) + text
    elif r < 0.05 and text.endswith("?"):
        text = text[:-1] + rng.choice([", please?", " please?", " exactly?"])
    if rng.random() < 0.035 and len(text) > 8:
        i = rng.randrange(1, len(text) - 2)
        kind = rng.randrange(3)
        if text[i].isalpha() and text[i + 1].isalpha():
            if kind == 0:
                text = text[:i] + text[i + 1] + text[i] + text[i + 2:]
            elif kind == 1:
                text = text[:i] + text[i + 1:]
            else:
                text = text[:i] + text[i] + text[i:]
    return text
