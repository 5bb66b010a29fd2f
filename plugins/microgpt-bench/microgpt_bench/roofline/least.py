"""The least time that a golden model's step could take here: what `bench step` shows a share of."""

from collections.abc import Callable

from microgpt_bench.candidate import Candidate
from microgpt_bench.roofline.kept import roof_of_machine
from microgpt_bench.roofline.points import least_seconds
from microgpt_bench.roofline.subject import find_subject

MEASURED = "float32"  # of the precisions that a step can have: the one whose peak NumPy can measure


def least_step(model: str, who: Candidate, say: Callable[[str], None]) -> float | None:
    """Seconds; None in a precision whose peak isn't known. The machine is measured the first time, for some seconds."""
    if who.precision != MEASURED:
        return None
    roof = roof_of_machine(who.threads, say=say)
    return least_seconds(find_subject(model, "reference").plans(), roof)
