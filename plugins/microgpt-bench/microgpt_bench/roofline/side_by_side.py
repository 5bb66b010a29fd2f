"""The golden models side by side under one roof: what a step of each computes and moves, and what bounds it.

Nothing is timed, and no memory is taken: it is all in the plans.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from microgpt_bench.golden import GOLDEN
from microgpt_bench.roofline.points import Point, by_op, grouped, whole
from microgpt_bench.roofline.roof import Roof
from microgpt_bench.roofline.subject import find_subject
from microgpt_bench.roofline.tables import UNTIMED, Rows, group_rows

PRECISION = "float32"
HEADERS = ("model", "op", *UNTIMED)

Needs = Mapping[str, Sequence[Point]]  # by model


def needs(backend: str, overrides: Sequence[str] = ()) -> Needs:
    """Every golden model's calls. Raises ConfigurationError for overrides: they never change."""
    return {name: find_subject(name, backend, overrides).points() for name in GOLDEN}


def rows(found: Needs, roof: Roof) -> Rows:
    """Of each model a row for each op, forward and backward together, and one for the step."""
    made = []
    for model, points in found.items():
        groups = grouped(points, roof, lambda p: p.op)
        made += [[model, *row] for row in group_rows(groups, whole(points, roof))]
    return made


def as_data(found: Needs, roof: Roof) -> list[dict[str, Any]]:
    """Of each model what `--json` says of one: its step, and its ops, forward and backward by themselves."""
    return [
        {
            "model": model,
            "step": whole(points, roof).to_dict(),
            "ops": [group.to_dict() for group in by_op(points, roof)],
        }
        for model, points in found.items()
    ]
