"""The backend: native kernels, and plans replayed without the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from microgpt_core.components import Backend, LoopPart
from microgpt_simd.levels import level_and_why
from microgpt_simd.native import Call, Loop, Program
from microgpt_simd.threads import threads_and_why

if TYPE_CHECKING:
    from microgpt_simd.roofs import MicroKernels


class Simd(Backend):
    """Compiled kernels, as wide as the processor's vectors, and as many threads as there are cores."""

    name: ClassVar[str] = "simd"
    priority: ClassVar[int] = 20
    passes: ClassVar[tuple[str, ...]] = (
        "simd/packed-weights",
        "simd/fused-loss",
        "simd/activated-linear",
        "simd/linear-qkv",
        "simd/shared-gradient",
        "simd/selective-recompute",
        "simd/residual-norm",
    )

    def details(self) -> Mapping[str, str]:
        return {"level": level_and_why(), "threads": threads_and_why()}

    def join(self, runs: Sequence[Callable[[], object]]) -> list[Callable[[], object]]:
        joined: list[Callable[[], object]] = []
        for native, some in groupby(runs, lambda run: isinstance(run, Call)):
            calls = list(some)
            joined += [Program(calls)] if native else calls
        return joined

    def loop(self, parts: Sequence[LoopPart]) -> Callable[[int, int], int] | None:
        whole = all(len(part.runs) == 1 and isinstance(part.runs[0], Program) for part in parts)
        floats = all(part.until is None or part.until.format == "f" for part in parts)
        return Loop(parts) if whole and floats else None

    def microkernels(self, threads: int) -> MicroKernels:
        """For microgpt-bench, which measures with them what this machine can do at best."""
        from microgpt_simd.roofs import MicroKernels

        return MicroKernels(threads)
