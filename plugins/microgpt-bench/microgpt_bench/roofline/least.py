"""The least time that a golden model's step could take here: what `bench step` shows a share of."""

from functools import cache

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.race import Say
from microgpt_bench.roofline.kept import roof_of_machine
from microgpt_bench.roofline.points import least_seconds
from microgpt_bench.roofline.subject import find_subject

MEASURED = "float32"  # of the precisions that a step can have: the one whose peak NumPy can measure


def least_step(model: str, who: Candidate, say: Say) -> float | None:
    """Seconds; None for other work than the model's own, and in a precision whose peak isn't known.

    The machine is measured the first time, for some seconds.
    """
    return None if who.other_work or who.precision != MEASURED else least(model, who.threads, say)


@cache
def least(model: str, threads: int, say: Say) -> float:
    """The same for all backends: what is least is the machine's."""
    return least_seconds(find_subject(model, "reference").plans(), roof_of_machine(threads, say=say))
