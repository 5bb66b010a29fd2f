"""The machine itself: what it can compute and move at best, measured in a process that has its threads."""

from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.roofline.measure import measure, measure_peaks
from microgpt_bench.roofline.microkernels import MicroKernels
from microgpt_bench.roofline.roof import Roof
from microgpt_bench.work.kernels import usable_backends
from microgpt_bench.work.work import Work


class Machine(Work):
    """What the worker runs: one measurement."""

    def __init__(self, who: Candidate) -> None:
        self.threads, self.roof = who.threads, Roof({}, ())

    def run(self, n: int) -> None:
        self.roof = measure(self.threads, native_kernels(self.threads))

    def facts(self) -> dict[str, Any]:
        return {"roof": self.roof.to_dict()}


class Peaks(Work):
    """The same of arithmetic alone, which takes seconds."""

    def __init__(self, who: Candidate) -> None:
        self.threads, self.peaks = who.threads, dict[str, float]()

    def run(self, n: int) -> None:
        self.peaks = measure_peaks(native_kernels(self.threads))

    def facts(self) -> dict[str, Any]:
        return {"peaks": self.peaks}


def native_kernels(threads: int) -> MicroKernels | None:
    """The micro-kernels of the best backend here that brings any."""
    for backend in usable_backends():
        if hasattr(backend, "microkernels"):
            found: MicroKernels = backend.microkernels(threads)
            return found
    return None
