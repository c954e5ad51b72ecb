"""The tiny Llama-family checkpoints behind test/goldens/llama: one entry a folder.

Sizes are chosen to be awkward: nothing is a multiple of 64, feed-forward widths are often odd, head sizes and hidden
sizes miss the widths that vector code likes. Each case differs from a plain model in the one thing its name says.
"""

from dataclasses import dataclass

LENGTHS = (1, 2, 5, 16, 17, 33, 60)
# For cases whose point shows at every position.
FEW = (1, 5, 17, 40)


@dataclass(frozen=True)
class Case:
    name: str
    note: str
    config: dict
    family: str = "llama"
    dtype: str = "float32"
    lengths: tuple = LENGTHS
    shard: str | None = None
    # What config-old.json says of rope, as checkpoints published before `rope_parameters` say it.
    old: dict | None = None
    # Keys left out of config-old.json, as the oldest checkpoints do.
    old_without: tuple = ()
    # The frequencies depend on how far the sequence has come, so a run token by token differs from one pass.
    stateful: bool = False
    weights: str | None = None  # cases with the same word here have the same weights


PLAIN = dict(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=43,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=4,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
)
ROPE = PLAIN | dict(num_attention_heads=2, num_key_value_heads=1, head_dim=24, intermediate_size=37)


def plain(name: str, note: str, changes: dict | None = None, **rest) -> Case:
    return Case(name, note, PLAIN | (changes or {}), **rest)


def rope(name: str, note: str, theta: float, scaling: dict, positions: int = 128, *, top=(), **rest) -> Case:
    """`top` names the scaling keys that the old shape keeps beside `rope_theta`, outside `rope_scaling`."""
    config = ROPE | dict(max_position_embeddings=positions, rope_parameters={"rope_theta": theta, **scaling})
    inner = {key: value for key, value in scaling.items() if key not in top}
    old = {"rope_theta": theta, "rope_scaling": inner, **{key: scaling[key] for key in top}}
    return Case(f"rope-{name}", note, config, weights="rope", **({"old": old} | rest))


SHORT = [1.0, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.7, 1.9, 2.1]
LONG = [1.1, 1.3, 1.6, 2.0, 2.6, 3.3, 4.1, 5.0, 6.2, 7.5, 8.8, 10.4]
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)
LONGROPE = dict(rope_type="longrope", short_factor=SHORT, long_factor=LONG, original_max_position_embeddings=32)

ATTENTION = [
    plain(
        "mha",
        "every query head has its own key and value head; old config has the fewest keys",
        old={"rope_theta": 10000.0, "rope_scaling": None},
        old_without=("head_dim", "num_key_value_heads", "attention_bias", "mlp_bias"),
    ),
    plain(
        "gqa",
        "two query heads share a key and value head; eps large enough to be seen",
        dict(vocab_size=131, hidden_size=40, intermediate_size=51, num_key_value_heads=2, rms_norm_eps=0.02),
    ),
    plain("mqa", "one key and value head for all", dict(num_key_value_heads=1, intermediate_size=45)),
    plain(
        "tied",
        "the head is the embedding; no lm_head tensor is stored",
        dict(tie_word_embeddings=True, vocab_size=131),
        lengths=FEW,
    ),
    plain(
        "untied",
        "the head is its own tensor; one layer more",
        dict(num_hidden_layers=3, num_key_value_heads=2, vocab_size=113, intermediate_size=39),
    ),
    plain(
        "bias",
        "biases on q, k, v, o and on gate, up, down",
        dict(attention_bias=True, mlp_bias=True, num_key_value_heads=2),
        lengths=FEW,
    ),
    plain(
        "attention-bias",
        "biases on q, k, v and o alone",
        dict(attention_bias=True, num_key_value_heads=2, intermediate_size=41),
        lengths=FEW,
    ),
    plain(
        "mlp-bias",
        "biases on gate, up and down alone",
        dict(mlp_bias=True, num_key_value_heads=1, intermediate_size=41),
        lengths=FEW,
    ),
    plain(
        "head-wide",
        "heads together wider than the hidden size (3 x 20 over 36)",
        dict(hidden_size=36, num_attention_heads=3, num_key_value_heads=1, head_dim=20),
    ),
    plain(
        "head-narrow",
        "heads together narrower than the hidden size (2 x 10 over 38)",
        dict(hidden_size=38, num_attention_heads=2, num_key_value_heads=2, head_dim=10),
    ),
    plain(
        "head-12", "head size 12, hidden size 36", dict(hidden_size=36, num_attention_heads=3, num_key_value_heads=3)
    ),
    plain(
        "head-24",
        "head size 24, five heads over one",
        dict(hidden_size=40, num_attention_heads=5, num_key_value_heads=1, head_dim=24, intermediate_size=35),
    ),
    plain(
        "head-40",
        "head size 40, hidden size 42",
        dict(hidden_size=42, num_attention_heads=2, num_key_value_heads=1, head_dim=40, intermediate_size=29),
    ),
    plain(
        "head-2",
        "the smallest head rope allows: 17 heads of 2 over one",
        dict(hidden_size=34, num_attention_heads=17, num_key_value_heads=1),
    ),
    plain("gelu", "exact (erf) GELU in place of SiLU", dict(hidden_act="gelu", num_key_value_heads=2), lengths=FEW),
    plain(
        "gelu-tanh",
        "GELU by tanh in place of SiLU",
        dict(hidden_act="gelu_pytorch_tanh", num_key_value_heads=2),
        lengths=FEW,
    ),
]

STORAGE = [
    plain(
        "bf16",
        "weights stored as bf16; logits computed in f32 from them",
        dict(num_key_value_heads=2),
        dtype="bfloat16",
        lengths=FEW,
    ),
    plain(
        "f16",
        "weights stored as f16; logits computed in f32 from them",
        dict(num_key_value_heads=2),
        dtype="float16",
        lengths=FEW,
    ),
    plain(
        "sharded",
        "several files and an index",
        dict(num_key_value_heads=2, tie_word_embeddings=True),
        shard="40KB",
        lengths=FEW,
    ),
]

MISTRAL = [
    Case(
        "mistral",
        "no window",
        PLAIN | dict(num_key_value_heads=2, head_dim=12, sliding_window=None),
        family="mistral",
        old={"rope_theta": 10000.0},
    ),
    Case(
        "mistral-window",
        "a window of 8 keys, three layers",
        PLAIN | dict(num_key_value_heads=2, num_hidden_layers=3, sliding_window=8, intermediate_size=33),
        family="mistral",
        lengths=(1, 7, 8, 9, 10, 16, 40, 60),
        old={"rope_theta": 10000.0},
    ),
]

ROTARY = [
    rope("theta", "a base of a million", 1e6, dict(rope_type="default"), old={"rope_theta": 1e6, "rope_scaling": None}),
    rope(
        "linear",
        "old config uses `type`",
        10000.0,
        dict(rope_type="linear", factor=2.5),
        old={"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 2.5}},
    ),
    rope(
        "dynamic",
        "prompts below, at and beyond 24 positions",
        10000.0,
        dict(rope_type="dynamic", factor=3.0),
        24,
        stateful=True,
        lengths=(1, 16, 23, 24, 25, 33, 60),
    ),
    rope(
        "llama3",
        "wavelengths below, between and above the two bounds",
        500.0,
        dict(
            rope_type="llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=64,
        ),
        512,
    ),
    rope("yarn", "neither mscale nor betas given", 500.0, YARN),
    rope(
        "yarn-mscale",
        "both mscale fields and both betas",
        500.0,
        YARN | dict(beta_fast=3.0, beta_slow=0.4, mscale=1.4, mscale_all_dim=0.6),
    ),
    rope("yarn-mscale-alone", "mscale without mscale_all_dim is ignored", 500.0, YARN | dict(mscale=2.5)),
    rope(
        "yarn-exact",
        "bounds not truncated, attention_factor given",
        500.0,
        YARN | dict(beta_fast=3.0, beta_slow=0.4, truncate=False, attention_factor=1.25),
    ),
    rope(
        "longrope",
        "switches at 32 positions; attention factor from max / original; old config keeps the original length outside",
        10000.0,
        LONGROPE,
        stateful=True,
        lengths=(1, 8, 20, 31, 32, 33, 60),
        top=("original_max_position_embeddings",),
    ),
    rope(
        "longrope-factor",
        "attention factor from `factor`",
        10000.0,
        LONGROPE | dict(factor=16.0),
        stateful=True,
        lengths=(3, 24, 32, 33, 50),
    ),
]

CASES = ATTENTION + STORAGE + MISTRAL + ROTARY
