"""Which instructions this machine's processor has, and the kernels made of them."""

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from microgpt_core.errors import ConfigurationError
from microgpt_simd import native

LEVELS: dict[str, frozenset[str]] = {  # and what the processor has to have for them
    "baseline": frozenset(),
    "avx2": frozenset({"avx2", "fma"}),
    "avx512": frozenset({"avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"}),
    "avx512bf16": frozenset({"avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512bf16"}),
}
FORCED = "MICROGPT_SIMD"

cpu_features = cache(native.cpu_features)  # each call that is bound asks for its level


def best_level() -> str:
    """The widest level that the processor and the operating system have."""
    return [name for name, needed in LEVELS.items() if needed <= cpu_features()][-1]


def chosen_level() -> str:
    """The level that MICROGPT_SIMD asks for, else the widest. Raises ConfigurationError for one that isn't here."""
    asked = os.environ.get(FORCED) or best_level()
    if asked not in LEVELS:
        raise ConfigurationError(f"{FORCED}={asked}: unknown; allowed: {', '.join(LEVELS)}, or leave it out")
    if missing := LEVELS[asked] - cpu_features():
        raise ConfigurationError(
            f"{FORCED}={asked}: this processor lacks {', '.join(sorted(missing))}; the widest here: {best_level()}"
        )
    return asked


def level_and_why() -> str:
    """The level in words. Raises as `chosen_level` does."""
    asked = f", as {FORCED} asks" if os.environ.get(FORCED) else ""
    return f"{chosen_level()}{asked}; the processor has {' '.join(sorted(cpu_features())) or 'no wider vectors'}"


@cache
def level_kernels(level: str) -> Mapping[str, Any]:
    """The capsules of a level's kernels: "rmsnorm.forward", and "linear.forward workspace" where one is wanted."""
    kernels: Mapping[str, Any] = import_module(f"microgpt_simd._{level}").kernels
    return kernels


@cache
def op_functions(level: str, op: str) -> Mapping[str, Any]:
    """One op's among them: "forward", "backward", "forward workspace", ..."""
    return {
        name.removeprefix(f"{op}."): made for name, made in level_kernels(level).items() if name.startswith(f"{op}.")
    }
