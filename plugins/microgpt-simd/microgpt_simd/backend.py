"""The backend: native kernels, and plans replayed without the interpreter."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import ClassVar

from microgpt_core.components import Backend, Part
from microgpt_simd.native import Call, Loop, Program


class Simd(Backend):
    """Compiled kernels, as wide as the processor's vectors, and as many threads as there are cores."""

    name: ClassVar[str] = "simd"
    priority: ClassVar[int] = 20
    passes: ClassVar[tuple[str, ...]] = ("simd/fused-loss",)

    def join(self, runs: Sequence[Callable[[], object]]) -> list[Callable[[], object]]:
        joined: list[Callable[[], object]] = []
        for native, some in groupby(runs, lambda run: isinstance(run, Call)):
            calls = list(some)
            joined += [Program(calls)] if native else calls
        return joined

    def loop(self, parts: Sequence[Part]) -> Callable[[int, int], int] | None:
        whole = all(len(part.runs) == 1 and isinstance(part.runs[0], Program) for part in parts)
        floats = all(part.until is None or part.until.format == "f" for part in parts)
        return Loop(parts) if whole and floats else None
