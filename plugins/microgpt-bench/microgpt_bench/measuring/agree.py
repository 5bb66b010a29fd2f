"""The checks before a race: every candidate does the same work, or isn't timed."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from microgpt_bench.measuring.race import Lane
from microgpt_bench.measuring.racer import Racer

ALLOWED = {"float32": 1e-4, "bfloat16": 5e-2}  # of a loss; of a gradient, beside its largest number
TOKENS = 16  # that are to be the same

Found = dict[str, dict[str, float]]  # candidate -> what differs -> by how much


def same_training(found: Found) -> Callable[[Lane], None]:
    """A check for `race`: the same losses and gradients."""

    def check(lane: Lane) -> None:
        model = measure_of(lane)
        if model is None:
            return
        with tempfile.TemporaryDirectory(prefix="microgpt-bench-") as folder:
            path = str(Path(folder) / "expected.safetensors")
            model.tell(do="ask", what="write_down", path=path)
            for timed, racer, _ in lane:
                if racer is model:
                    continue
                who = timed.candidate
                differs = racer.tell(do="ask", what="disagreement", path=path)["by"]
                found[who.label] = differs
                what, most = max(differs.items(), key=lambda item: item[1])
                if not most <= ALLOWED[who.precision]:
                    timed.cannot = (
                        f"{who.label} doesn't compute what {model.candidate.label} does: {what} differs by {most:.1e} "
                        f"of its size, allowed: {ALLOWED[who.precision]:g}"
                    )

    return check


def same_text(found: Found) -> Callable[[Lane], None]:
    """A check for `race`: in float32 every candidate writes the same tokens."""

    def check(lane: Lane) -> None:
        model = measure_of(lane)
        if model is None:
            return
        expected = model.tell(do="ask", what="write", n=TOKENS)["tokens"]
        for timed, racer, _ in lane:
            if racer is model or timed.candidate.precision != "float32":
                continue
            written = racer.tell(do="ask", what="write", n=TOKENS)["tokens"]
            wrong = sum(a != b for a, b in zip(expected, written, strict=True))
            found[timed.candidate.label] = {"tokens": wrong / TOKENS}
            if wrong:
                timed.cannot = (
                    f"{timed.candidate.label} doesn't write what {model.candidate.label} does: {wrong} of {TOKENS} "
                    "tokens are others"
                )

    return check


def measure_of(lane: Lane) -> Racer | None:
    """Whom the others are compared with: the first of microgpt in float32. None where there is nobody to compare."""
    own = (racer for timed, racer, _ in lane if not timed.candidate.peer and timed.candidate.precision == "float32")
    return next(own, None) if len(lane) > 1 else None
