"""The process in which one candidate works: told by lines of JSON on stdin what to do, it answers in lines on stdout.

    python -m microgpt_bench.measuring.worker

What libraries print goes to stderr. Only one process is asked at a time, so that each has the machine for itself.
"""

import gc
import json
import os
import platform
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import distributions
from statistics import fmean, median
from time import perf_counter_ns
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.pin import pin
from microgpt_bench.measuring.yardstick import yardstick
from microgpt_bench.work.work import Work
from microgpt_core.errors import MicrogptError
from microgpt_core.plugins.pack import version_of

WORK = {  # kind of work -> "module:Class", made of a candidate and the work's own settings
    "step": "microgpt_bench.work.step:Step",
    "ops": "microgpt_bench.work.ops:Ops",
    "generate": "microgpt_bench.work.generate:Generate",
    "startup": "microgpt_bench.work.startup:Startup",
    "tokenize": "microgpt_bench.work.tokenize:Tokenize",
    "checkpoint": "microgpt_bench.work.checkpoint:Checkpoint",
    "calls": "microgpt_bench.work.calls:Calls",
    "roof": "microgpt_bench.work.roof:Machine",
    "peaks": "microgpt_bench.work.roof:Peaks",
}


def pieces(n: int, most: int) -> list[int]:
    """`n` turns in at most so many pieces, as even as can be."""
    count = min(n, most)
    return [n // count + (i < n % count) for i in range(count)]


class Worker:
    """One piece of work, and what can be asked of it."""

    def __init__(self) -> None:
        self.work: Work
        self.peer = False  # whether it is another program's

    def prepare(self, work: str, candidate: dict[str, Any], pinned: bool, **settings: Any) -> dict[str, Any]:
        """Build what is measured and do it once."""
        who = Candidate(**{**candidate, "overrides": tuple(candidate["overrides"])})  # JSON has lists
        self.peer = who.peer
        if pinned:
            pin(who.threads)
        module, name = WORK[work].split(":")
        self.work = getattr(import_module(module), name)(who, **settings)
        self.work.run(1)
        gc.collect()
        gc.freeze()  # what was built stays, so no round has to look through it
        turns = {"least_turns": self.work.least_turns, "cycle": self.work.cycle}
        return {"versions": versions(), **turns, **self.work.facts()}

    def run(self, n: int) -> dict[str, Any]:
        """Do the work `n` times, and once alone; some kinds of it also say how long each of their parts took.

        Turns that aren't alike are timed one by one, whole cycles of them, and each place in the cycle has a median.
        """
        cycle = self.work.cycle
        timed = [self.timed(turns) for turns in (pieces(n, self.work.pieces) if cycle == 1 else [1] * n)]
        one, _ = timed[0] if n == 1 else self.timed(1)
        _, parts = timed[-1]
        ns = n * fmean(median(ns for ns, _ in timed[place::cycle]) for place in range(cycle))
        return {"ns": ns, "one": one, "parts": parts or {}, "yardstick": yardstick()}

    def timed(self, n: int) -> tuple[float, dict[str, float] | None]:
        """The nanoseconds of one of `n` turns, and what the work says of its parts."""
        start = perf_counter_ns()
        parts = self.work.run(n)
        return (perf_counter_ns() - start) / n, parts

    def ask(self, what: str, **settings: Any) -> dict[str, Any]:
        """Anything else that this kind of work can say of itself."""
        found: dict[str, Any] = getattr(self.work, what)(**settings)
        return found

    def memory(self) -> dict[str, Any]:
        return {"peak_rss": self.work.peak_rss()}


def versions() -> dict[str, str]:
    """Of Python, and of what this process could import that may change its speed."""
    names = sorted({d.name for d in distributions() if d.name.startswith("microgpt-")} | {"numpy", "torch"})
    return {"python": platform.python_version(), **{name: found for name in names if (found := version_of(name))}}


def answer(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request; what goes wrong is one, too."""
    act: Callable[..., dict[str, Any]] = getattr(worker, request.pop("do"))
    try:
        return act(**request)
    except (MicrogptError, ImportError, MemoryError) as error:  # it can't be done here: the others go on
        return {"cannot": str(error) or type(error).__name__}
    except Exception as error:  # noqa: BLE001  the process that asked reports it
        if worker.peer:  # somebody else's program: the others go on
            return {"cannot": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}
        return {"failed": traceback.format_exc()}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # prints, also of native code, would be taken for answers
    worker = Worker()
    for line in sys.stdin:
        answers.write(json.dumps(answer(worker, json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
