"""Which instructions this machine's processor has, and the kernels made of them."""

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from microgpt_core.errors import ConfigurationError
from microgpt_simd import native

LEVELS: dict[str, frozenset[str]] = {  # and what the processor has to have for them
    "baseline": frozenset(),
    "avx2": frozenset({"avx2", "fma"}),
    "avx512": frozenset({"avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"}),
}
LEVELS["avx512bf16"] = LEVELS["avx512"] | {"avx512bf16"}
LEVELS["amx"] = LEVELS["avx512bf16"] | {"amx-tile", "amx-bf16"}
FORCED = "MICROGPT_SIMD"

cpu_features = cache(native.cpu_features)  # each call that is bound asks for its level


def lack_of(level: str) -> str | None:
    """What keeps a level from being used here, in words; None where nothing does."""
    if missing := LEVELS[level] - cpu_features():
        return f"this processor lacks {', '.join(sorted(missing))}"
    if not is_compiled(level):
        return "this installation was built without it"
    if "amx-tile" in LEVELS[level] and (refused := tiles_refused()):
        return f"the system refuses this process AMX's tiles ({refused})"
    return None


@cache
def is_compiled(level: str) -> bool:
    """Whether the level's module is there: a compiler, or a system, may have none of its instructions."""
    return find_spec(f"microgpt_simd._{level}") is not None


@cache
def tiles_refused() -> str | None:
    """Ask the system for AMX's tiles: why it doesn't give them to this process, None where it does."""
    error = native.ask_for_tiles()
    return os.strerror(error) if error else None


def levels_here() -> list[str]:
    """The levels that can be used, the widest last."""
    return [level for level in LEVELS if lack_of(level) is None]


def chosen_level() -> str:
    """The level that MICROGPT_SIMD asks for, else the widest. Raises ConfigurationError for one that isn't here."""
    asked = os.environ.get(FORCED) or levels_here()[-1]
    if asked not in LEVELS:
        raise ConfigurationError(f"{FORCED}={asked}: unknown; allowed: {', '.join(LEVELS)}, or leave it out")
    if lack := lack_of(asked):
        raise ConfigurationError(f"{FORCED}={asked}: {lack}; the widest here: {levels_here()[-1]}")
    return asked


def level_and_why() -> str:
    """The level in words. Raises as `chosen_level` does."""
    level = chosen_level()
    asked = f", as {FORCED} asks" if os.environ.get(FORCED) else ""
    features = f"; the processor has {' '.join(sorted(cpu_features())) or 'no wider vectors'}"
    return f"{level}{asked}{features}{why_not_wider(level) if not asked else ''}"


def why_not_wider(level: str) -> str:
    """What keeps the processor from a wider level that it has the instructions for."""
    able = [name for name, needed in LEVELS.items() if needed <= cpu_features()]
    return "".join(f"; not {name}: {lack_of(name)}" for name in able[able.index(level) + 1 :])


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
