"""Presets: the sizes of known models, filled in by `model: {preset: NAME}`."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # the one-page program of docs/learn/microgpt.py
    "microgpt": {"block_size": 8, "n_layer": 1, "n_head": 4, "n_embd": 16},
}
