"""The check before tokenizers race: all of them make the same of the text, or aren't timed."""

from microgpt_bench.measuring.agree import Check, Differences, each, first_own
from microgpt_bench.measuring.race import Lane
from microgpt_bench.measuring.racer import CannotRunError, Racer


def same_tokens(differences: Differences) -> Check:
    """A check for `race`: the same numbers of the text, or the same text of the numbers."""

    def check(lane: Lane) -> None:
        if model := first_own(lane, lambda racer: racer.tell(do="ask", what="outcome")):
            each(lane, model[0], lambda racer: compare(racer, model[0], model[1]["digest"], differences))

    return check


def compare(racer: Racer, model: Racer, expected: str, differences: Differences) -> None:
    """Raises CannotRunError where something else is made of the text."""
    who, other = racer.candidate.label, racer.tell(do="ask", what="outcome")["digest"] != expected
    differences[who] = {"tokens": float(other)}
    if other:
        raise CannotRunError(f"{who} doesn't make of the text what {model.candidate.label} makes of it")
