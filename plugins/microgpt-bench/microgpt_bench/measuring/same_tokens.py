"""The check before tokenizers race: all of them make the same of the texts, or aren't timed.

With one vocabulary the ids are the same to the last. What is learned from the same texts needn't be: among pairs that
come equally often each program has its own order. So there most tokens have to be the same, and as good.
"""

from typing import Any

from microgpt_bench.measuring.agree import Check, Differences, each, first_own
from microgpt_bench.measuring.race import Lane
from microgpt_bench.measuring.racer import CannotRunError, Racer

COMMON = 0.9  # of the tokens that were learned; of 32,768 from 6 MB, tokenizers 0.23 has 0.95 as we have them
AS_GOOD = 5e-3  # by how much the texts may become more ids, or less: of little text, equals are many


def same_tokens(differences: Differences) -> Check:
    """A check for `race`: the same numbers of the texts and the texts of the numbers, or a vocabulary that is alike."""

    def check(lane: Lane) -> None:
        if model := first_own(lane, lambda racer: racer.tell(do="ask", what="outcome")):
            each(lane, model[0], lambda racer: compare(racer, model[0], model[1], differences))

    return check


def compare(racer: Racer, model: Racer, expected: dict[str, Any], differences: Differences) -> None:
    """Raises CannotRunError where something else is made of the texts."""
    who, found = racer.candidate.label, racer.tell(do="ask", what="outcome")
    differences[who] = told = differ(found, expected)
    allowed = {"vocabulary": 1 - COMMON, "length": AS_GOOD}
    if wrong := [what for what, by in told.items() if by > allowed.get(what, 0.0)]:
        name = model.candidate.label
        raise CannotRunError(f"{who} doesn't make of the text what {name} makes of it: other {', '.join(wrong)}")


def differ(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, float]:
    """In what two outcomes differ, and by how much."""
    told = {"text": float(not found["whole"])}
    if "learned" not in expected:
        return told | {"tokens": float(found["digest"] != expected["digest"])}
    ours, theirs = set(expected["learned"]), set(found["learned"])
    return told | {
        "vocabulary": 1 - len(ours & theirs) / max(len(ours), len(theirs)),
        "length": abs(found["tokens"] / expected["tokens"] - 1),
    }
