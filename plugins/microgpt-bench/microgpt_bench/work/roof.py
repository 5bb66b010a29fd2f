"""The machine itself: what it can compute and move at best, measured in a process that has its threads."""

from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.roofline.measure import measure
from microgpt_bench.roofline.microkernels import MicroKernels
from microgpt_bench.roofline.roof import Roof
from microgpt_bench.work.work import Work
from microgpt_core.pipeline import builtin
from microgpt_core.plugins.loader import load


class Machine(Work):
    """What the worker runs: one measurement."""

    def __init__(self, who: Candidate) -> None:
        self.threads, self.roof = who.threads, Roof({}, ())

    def run(self, n: int) -> None:
        self.roof = measure(self.threads, native_kernels(self.threads))

    def facts(self) -> dict[str, Any]:
        return {"roof": self.roof.to_dict()}


def native_kernels(threads: int) -> MicroKernels | None:
    """The micro-kernels of the best backend here that brings any."""
    registry = load(builtin)
    backends = [registry.get("backends", name)() for name in registry.names("backends")]
    for backend in sorted(backends, key=lambda b: -b.priority):
        if hasattr(backend, "microkernels") and backend.unavailable() is None:
            found: MicroKernels = backend.microkernels(threads)
            return found
    return None
