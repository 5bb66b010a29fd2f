"""How many FLOP/s this machine reaches at best: what the utilisation of a training step is a share of.

Nothing is measured here. Whoever has measured it keeps it in the cache, in `peaks.json`, which holds GFLOP/s:

    {"<processor>; <its features>": {"<threads>": {"float32": 205.0, "float64": 102.0}}}
"""

import json
import os
from math import inf
from pathlib import Path

from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.runs.cpu import cores, described
from microgpt_core.text.cache import cache_folder

VARIABLE = "MICROGPT_PEAK_GFLOPS"


def peaks_file() -> Path:
    return cache_folder() / "peaks.json"


def kept_peaks() -> dict[int, dict[str, float]]:
    """FLOP/s of this processor, by threads and precision; empty where nobody has kept any, or the file is damaged."""
    try:
        kept = json.loads(peaks_file().read_text(encoding="utf-8")).get(described(), {})
        return {int(n): {name: 1e9 * float(x) for name, x in peaks.items() if x > 0} for n, peaks in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def peak_flops(precision: str) -> float | None:
    """FLOP/s with every core that this process may use; None where nobody knows. MICROGPT_PEAK_GFLOPS goes first.

    Raises ConfigurationError where that is no number above 0.
    """
    if not (given := os.environ.get(VARIABLE)):
        return kept_peaks().get(cores(), {}).get(precision)
    try:
        gflops = float(given)
    except ValueError:
        gflops = 0.0
    if not 0 < gflops < inf:
        raise ConfigurationError(f"{VARIABLE}: found {given!r}, allowed: a number above 0, of GFLOP/s")
    return 1e9 * gflops
