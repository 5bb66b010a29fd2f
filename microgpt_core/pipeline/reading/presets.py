"""Presets: the sizes of known models, filled in by `model: {preset: NAME}`. What the YAML says goes before them."""

from math import sqrt
from typing import Any, NamedTuple


class Preset(NamedTuple):
    about: str
    vocab_size: int  # of the tokenizer that it was made for; a run takes its own tokenizer's
    fields: dict[str, Any]  # of the model


def gpt2(n_layer: int, n_head: int, n_embd: int) -> dict[str, Any]:
    """GPT-2's architecture; what writes into the residual stream begins smaller, the deeper the model."""
    return {
        "block_size": 1024, "n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "activation": "gelu_tanh",
        "norm": "layernorm", "norm_weight": True, "norm_bias": True, "norm_embedding": False, "norm_final": True,
        "bias": True, "tie_weights": True, "init_output_std": 0.02 / sqrt(2 * n_layer),
    }  # fmt: skip


def llama(block_size: int, n_layer: int, n_head: int, n_embd: int, **fields: Any) -> dict[str, Any]:
    """Llama's architecture: rope, RMSNorm with gains, a gated MLP, no biases."""
    return {
        "block_size": block_size, "n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "activation": "swiglu",
        "norm": "rmsnorm", "norm_weight": True, "norm_eps": 1e-5, "norm_embedding": False, "norm_final": True,
        "position": "rope", "tie_weights": True, "init_output_std": 0.02 / sqrt(2 * n_layer), **fields,
    }  # fmt: skip


SMOLLM2 = {"rope_theta": 100000.0, "init_std": 1 / 24, "init_output_std": 1 / 24}

PRESETS: dict[str, Preset] = {
    "microgpt": Preset(
        "the one-page program of docs/learn/microgpt.py", 27,
        {"block_size": 8, "n_layer": 1, "n_head": 4, "n_embd": 16},
    ),
    "llama-tiny": Preset(
        "Llama's architecture, small enough for pure Python", 512, llama(128, 4, 8, 64, n_kv_head=4)
    ),
    "50m": Preset("51 million parameters, Llama's architecture", 32000, llama(512, 11, 8, 512)),
    "100m": Preset("99 million parameters, Llama's architecture", 32000, llama(1024, 16, 10, 640)),
    "gpt2": Preset("GPT-2 small", 50257, gpt2(12, 12, 768)),
    "gpt2-small": Preset("GPT-2 small by its other name", 50257, gpt2(12, 12, 768)),
    "gpt2-medium": Preset("GPT-2 medium", 50257, gpt2(24, 16, 1024)),
    "gpt2-large": Preset("GPT-2 large", 50257, gpt2(36, 20, 1280)),
    "gpt2-xl": Preset("GPT-2 XL", 50257, gpt2(48, 25, 1600)),
    "smollm2-135m": Preset("SmolLM2-135M", 49152, llama(8192, 30, 9, 576, n_kv_head=3, n_hidden=1536, **SMOLLM2)),
    "tinyllama-1.1b": Preset(
        "TinyLlama", 32000, llama(2048, 22, 32, 2048, n_kv_head=4, n_hidden=5632, tie_weights=False)
    ),
}  # fmt: skip
