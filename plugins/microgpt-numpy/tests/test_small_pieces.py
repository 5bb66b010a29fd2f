"""The kit once more, with stretches, blocks and pieces so small that every case is cut into several."""

from collections.abc import Mapping
from typing import Any

import pytest

from microgpt_core.components import Kernel
from microgpt_core.ops import OPS
from microgpt_core.testing import check_kernel
from microgpt_numpy import cross_entropy, dropout, elementwise, norms, scores
from microgpt_numpy.backend import Numpy
from microgpt_numpy.kernel import Array, Run, Scratch
from microgpt_numpy.products import Scale


@pytest.mark.slow
@pytest.mark.parametrize("op", OPS)
def test_a_kernel_in_small_pieces(op: str, table: dict[str, Kernel], monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small(monkeypatch)
    report = check_kernel(table[f"numpy/{op}"], OPS[op], Numpy())
    assert report, report


class FirstStretchOnly(Scale):
    """Planted: what follows the first stretch is forgotten."""

    def lay_out(
        self, method: str, views: Mapping[str, Array | None], attributes: Mapping[str, Any], scratch: Scratch
    ) -> Run:
        first = {n: None if x is None else x.reshape(-1)[: elementwise.STRETCH] for n, x in views.items()}
        return super().lay_out(method, first, attributes, scratch)


def test_planted_a_kernel_that_forgets_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_kernel(FirstStretchOnly(), OPS["scale"], Numpy())  # all of the kit's cases fit one stretch
    cut_small(monkeypatch)
    report = check_kernel(FirstStretchOnly(), OPS["scale"], Numpy())
    assert "forward doesn't overwrite all of out" in str(report)


def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cross_entropy, dropout, elementwise, norms):
        monkeypatch.setattr(module, "STRETCH", 300)
    monkeypatch.setattr(scores, "MOST", 150)
