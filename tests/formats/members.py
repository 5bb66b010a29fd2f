"""Models whose every part matters, and packs with components of one's own."""

import random
from pathlib import Path
from typing import Any

from microgpt_core.components import Tokenizer
from microgpt_core.models.gpt import GPT
from microgpt_core.text.char import Char

BLOCK_SIZE = 8

# Each field of the family at least once in each of its ways.
MEMBERS: list[dict[str, Any]] = [
    {},
    {"bias": True, "tie_weights": True, "dropout": 0.3},
    {"norm_weight": True, "norm_final": True, "norm_embedding": False},
    {"norm": "layernorm"},
    {"norm": "layernorm", "norm_weight": True, "norm_bias": True, "norm_eps": 1e-3, "norm_placement": "post"},
    {"norm": "layernorm", "norm_bias": True, "activation": "gelu_tanh"},
    {"position": "rope", "n_embd": 16, "n_kv_head": 2, "activation": "swiglu", "bias": True},
    {"position": "rope", "n_embd": 16, "rope_theta": 100.0, "activation": "silu"},
    {"position": "sinusoidal", "n_kv_head": 1, "activation": "gelu"},
    {"position": "none", "norm_embedding": False, "window": 3, "activation": "sigmoid"},
    {"n_layer": 1, "n_hidden": 5, "activation": "tanh"},
    {"n_layer": 12, "n_head": 1, "activation": "relu", "mlp_ratio": 2},
]
LONG: list[dict[str, Any]] = [
    {"block_size": 150},
    {"block_size": 150, "window": 70},
    {"block_size": 150, "window": 3, "n_kv_head": 2},
]


def characters(**fields: Any) -> Char:
    return Char(**fields).train(["abcdefgh"])


def made(tokenizer: Tokenizer | None = None, precision: str = "float32", **fields: Any) -> GPT:
    known = tokenizer or characters()
    sizes = {"block_size": BLOCK_SIZE, "n_layer": 2, "n_head": 4, "n_embd": 8, "init_std": 0.3, "init_output_std": 0.3}
    model = GPT(vocab_size=known.vocab_size, **{**sizes, **fields})
    model.allocate(precision)
    rng = random.Random(3)
    for p in model.parameters():
        p.std = p.std or 0.3  # gains and biases too, or nobody would miss them
    model.initialise(rng)
    return model


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
