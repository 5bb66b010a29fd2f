"""The checks before a race: every candidate does the same work, or isn't timed."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from microgpt_bench.measuring.race import Lane
from microgpt_bench.measuring.racer import CannotRunError, Racer

ALLOWED = {"float32": 1e-4, "bfloat16": 5e-2}  # of a loss; of a gradient, beside its largest number
TOKENS = 16  # that are to be the same

Found = dict[str, dict[str, float]]  # candidate -> what differs -> by how much
Check = Callable[[Lane], None]


def same_training(found: Found) -> Check:
    """A check for `race`: the same losses and gradients."""

    def check(lane: Lane) -> None:
        if model := measure_of(lane):
            with tempfile.TemporaryDirectory(prefix="microgpt-bench-") as folder:
                path = str(Path(folder) / "expected.safetensors")
                model.tell(do="ask", what="write_down", path=path)
                each(lane, model, lambda racer: compare_training(racer, model, path, found))

    return check


def same_text(found: Found) -> Check:
    """A check for `race`: in float32 every candidate writes the same tokens."""

    def check(lane: Lane) -> None:
        if model := measure_of(lane):
            expected = model.tell(do="ask", what="write", n=TOKENS)["tokens"]
            each(lane, model, lambda racer: compare_text(racer, model, expected, found))

    return check


def each(lane: Lane, model: Racer, compare: Callable[[Racer], None]) -> None:
    """Compare everybody else; who differs, or fails, isn't to go on."""
    for timed, racer, _ in lane:
        try:
            if racer is not model:
                compare(racer)
        except CannotRunError as error:
            timed.cannot = str(error)


def compare_training(racer: Racer, model: Racer, path: str, found: Found) -> None:
    """Raises CannotRunError where a training isn't the one that was written down."""
    who = racer.candidate
    differs = found[who.label] = racer.tell(do="ask", what="disagreement", path=path)["by"]
    for what, far in differs.items():
        if not far <= ALLOWED[who.precision]:
            raise CannotRunError(
                f"{who.label} doesn't compute what {model.candidate.label} does: {what} differs by {far:.1e} of its "
                f"size, allowed: {ALLOWED[who.precision]:g}"
            )


def compare_text(racer: Racer, model: Racer, expected: list[int], found: Found) -> None:
    """Raises CannotRunError where other tokens are written. In less than float32 they may be."""
    who = racer.candidate
    if who.precision != "float32":
        return
    written = racer.tell(do="ask", what="write", n=TOKENS)["tokens"]
    wrong = sum(a != b for a, b in zip(expected, written, strict=True))
    found[who.label] = {"tokens": wrong / TOKENS}
    if wrong:
        raise CannotRunError(
            f"{who.label} doesn't write what {model.candidate.label} does: {wrong} of {TOKENS} tokens are others"
        )


def measure_of(lane: Lane) -> Racer | None:
    """Whom the others are compared with: the first of microgpt in float32. None where there is nobody to compare."""
    own = (racer for timed, racer, _ in lane if not timed.candidate.peer and timed.candidate.precision == "float32")
    return next(own, None) if len(lane) > 1 else None
