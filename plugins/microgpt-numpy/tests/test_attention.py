"""Attention against the reference where the kit doesn't look: many pieces of every kind of sight, and the unseen."""

from random import Random
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import Kernel, flat
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_numpy import attention, scores

PACKED = [[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 0], [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]
WHOLE = [list(range(13))] * 2
SIGHTS: dict[str, dict[str, Any]] = {
    "all before": {},
    "positions that say the same": {"positions": WHOLE},
    "documents": {"positions": PACKED},
    "window": {"window": 4},
    "window of one": {"window": 1},
    "window wider than the text": {"window": 50},
    "documents in a window": {"positions": PACKED, "window": 3},
    "cache": {"rows": 21, "start": [8, 3]},
    "documents in a cache": {"rows": 21, "start": [8, 0], "positions": PACKED},
    "window in a cache": {"rows": 21, "start": [5, 0], "window": 5},
    "shared heads": {"n_kv_head": 2},
    "one head for all": {"n_kv_head": 1, "positions": PACKED},
}


def inputs(sight: dict[str, Any], dtype: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Random q, k and v of four heads of three numbers, two texts of 13 rows; and the attributes."""
    rng, heads = Random(1), sight.get("n_kv_head", 4)

    def drawn(rows: int, width: int) -> Tensor:
        numbers = [[[rng.gauss(0, 1) for _ in range(width)] for _ in range(rows)] for _ in range(2)]
        return tensor(numbers, dtype, requires_grad=True)

    rows = sight.get("rows", 13)
    given: dict[str, Any] = {"q": drawn(13, 12), "k": drawn(rows, 3 * heads), "v": drawn(rows, 3 * heads)}
    given |= {n: tensor(sight[n], "int32") for n in ("positions", "start") if n in sight}
    return given, {"n_head": 4, "window": sight.get("window")}


def computed(kernels: Kernels, given: dict[str, Any], attributes: dict[str, Any]) -> dict[str, list[float]]:
    """The output and the gradients of q, k and v."""
    for name in "qkv":
        given[name].zero_grad()
    with use_kernels(kernels):
        out = ops.attention(**given, **attributes)
        ops.sum(out * out).backward()
    return {"out": flat(out.data).tolist()} | {n: flat(given[n].grad.data).tolist() for n in "qkv"}


@pytest.mark.parametrize("most", [1, 60, 300, 1 << 17])
@pytest.mark.parametrize("sight", SIGHTS)
def test_every_sight_in_pieces_of_every_size(
    sight: str, most: int, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "MOST", most)
    for dtype, tolerance in (("float64", 1e-13), ("float32", 2e-6)):
        given, attributes = inputs(SIGHTS[sight], dtype)
        mine, true = computed(kernels, given, attributes), computed(REFERENCE, given, attributes)
        for name, numbers in true.items():
            assert mine[name] == pytest.approx(numbers, abs=tolerance * max(1.0, *map(abs, numbers))), name


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("sight", SIGHTS)
def test_what_is_not_seen_changes_nothing(sight: str, bad: float, kernels: Kernels) -> None:
    """A NaN stays where the reference has it, in the results and in the gradients."""
    given, attributes = inputs(SIGHTS[sight], "float64")
    for name, at in (("q", 7), ("k", 9), ("v", 10)):
        view = flat(given[name].data)
        before, view[at * given[name].shape[2]] = view[at * given[name].shape[2]], bad
        mine, true = computed(kernels, given, attributes), computed(REFERENCE, given, attributes)
        for result, numbers in true.items():
            assert mine[result] == pytest.approx(numbers, rel=1e-9, abs=1e-12, nan_ok=True), (name, result)
        view[at * given[name].shape[2]] = before


def test_planted_without_the_check_a_nan_reaches_rows_that_do_not_see_it(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, attributes = inputs({}, "float64")
    flat(given["v"].data)[12 * 12] = float("nan")  # in the last row
    mine, true = computed(kernels, given, attributes), computed(REFERENCE, given, attributes)
    assert mine["out"] == pytest.approx(true["out"], nan_ok=True)
    monkeypatch.setattr(attention, "finite", lambda flat: True)
    assert computed(kernels, given, attributes)["out"] != pytest.approx(true["out"], nan_ok=True)


def test_memory_grows_with_the_length_not_with_its_square(table: dict[str, Kernel]) -> None:
    asked = []
    for length in (1024, 2048, 4096):
        shape: tuple[int, ...] = (1, length, 64)
        shapes = dict.fromkeys(ops.attention.signature.backward, shape)
        given = {**shapes, "lse": (1, length, 4), "positions": (1, length), "start": None}
        formats = dict.fromkeys(shapes, "f") | {"positions": "i"}
        asked.append(table["numpy/attention"].workspace("backward", given, formats, {"n_head": 4, "window": None}))
    assert asked[2] - asked[1] < 2.1 * (asked[1] - asked[0])
    assert asked[2] < 4096 * 4096 * 4  # the scores of one head would be as much
