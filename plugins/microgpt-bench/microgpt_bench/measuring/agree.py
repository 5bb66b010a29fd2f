"""The checks before a race: every candidate does the same work, or isn't timed."""

import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from microgpt_bench.candidate import READING
from microgpt_bench.measuring.race import Lane
from microgpt_bench.measuring.racer import CannotRunError, Racer

ALLOWED = {"float64": 1e-4, "float32": 1e-4, "bfloat16": 5e-2}  # of a loss; of a gradient, beside its largest number
TOKENS = 16  # that are to be the same

Differences = dict[str, dict[str, float]]  # candidate -> what differs -> by how much
Check = Callable[[Lane], None]


def same_training(differences: Differences) -> Check:
    """A check for `race`: the same losses and gradients."""

    def check(lane: Lane) -> None:
        with tempfile.TemporaryDirectory(prefix="microgpt-bench-") as folder:
            path = str(Path(folder) / "expected.safetensors")
            for same in of_same_work(lane):
                if model := first_own(same, lambda racer: racer.tell(do="ask", what="write_down", path=path)):
                    each(same, model[0], partial(compare_training, model=model[0], path=path, differences=differences))

    return check


def same_text(differences: Differences) -> Check:
    """A check for `race`: in float32 every candidate writes the same tokens."""

    def check(lane: Lane) -> None:
        for same in of_same_work([one for one in lane if one[0].candidate.use != READING]):
            if model := first_own(same, lambda racer: racer.tell(do="ask", what="write", n=TOKENS)):
                expected = model[1]["tokens"]
                each(same, model[0], partial(compare_text, model=model[0], expected=expected, differences=differences))

    return check


def of_same_work(lane: Lane) -> Iterable[Lane]:
    """Those whose settings have them compute the same; most often that's everybody."""
    for work in dict.fromkeys(timed.candidate.other_work for timed, _, _ in lane):
        yield [(timed, racer, turns) for timed, racer, turns in lane if timed.candidate.other_work == work]


def each(lane: Lane, model: Racer, compare: Callable[[Racer], None]) -> None:
    """Compare everybody else; who differs, or fails, isn't to go on."""
    for timed, racer, _ in lane:
        try:
            if racer is not model and not timed.left_out:
                compare(racer)
        except CannotRunError as error:
            timed.left_out = str(error)


def compare_training(racer: Racer, model: Racer, path: str, differences: Differences) -> None:
    """Raises CannotRunError where a training isn't the one that was written down."""
    who = racer.candidate
    differs = differences[who.label] = racer.tell(do="ask", what="disagreement", path=path)["by"]
    for what, far in differs.items():
        if not far <= ALLOWED[who.precision]:
            raise CannotRunError(
                f"{who.label} doesn't compute what {model.candidate.label} does: {what} differs by {far:.1e} of its "
                f"size, allowed: {ALLOWED[who.precision]:g}"
            )


def compare_text(racer: Racer, model: Racer, expected: list[int], differences: Differences) -> None:
    """Raises CannotRunError where other tokens are written. In less than float32 they may be."""
    who = racer.candidate
    if who.precision != "float32":
        return
    written = racer.tell(do="ask", what="write", n=TOKENS)["tokens"]
    wrong = sum(a != b for a, b in zip(expected, written, strict=True))
    differences[who.label] = {"tokens": wrong / TOKENS}
    if wrong:
        raise CannotRunError(
            f"{who.label} doesn't write what {model.candidate.label} does: {wrong} of {TOKENS} tokens are others"
        )


def first_own(lane: Lane, ask: Callable[[Racer], dict[str, Any]]) -> tuple[Racer, dict[str, Any]] | None:
    """Whom the others are compared with, and its answer: the first of microgpt in float32 that has one. None where
    there is nobody, or nobody else.
    """
    for timed, racer, _ in lane if len(lane) > 1 else ():
        if not timed.candidate.peer and timed.candidate.precision == "float32":
            try:
                return racer, ask(racer)
            except CannotRunError as error:
                timed.left_out = str(error)
    return None
