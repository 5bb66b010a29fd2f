"""The least time of a token: the weights that it reads, as many bytes as they have, at the speed of reading."""

import pytest

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.roofline import least
from microgpt_bench.roofline.roof import Level, Roof

LEVELS = Level("L1", 32 << 10, 200e9, 300e9, 250e9), Level("memory", None, 20e9, 90e9, 40e9)


@pytest.fixture(autouse=True)
def roof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least, "roof_of_machine", lambda threads, say: Roof({"float32": 1.0}, LEVELS, threads))


@pytest.mark.parametrize(
    ("model", "tables", "rows"),
    [("e16", (27 + 8) * 16, 2 * 16), ("char-small", (65 + 64) * 128, 2 * 128), ("gpt2", 256 * 768, 768)],
)
def test_of_tables_a_row_is_read_and_of_all_else_everything(model: str, tables: int, rows: int) -> None:
    """GPT-2's own embedding is its head, too, and read as a whole."""
    assert least.weights_read(model) == GOLDEN[model].shape().n_parameters - tables + rows


@pytest.mark.parametrize(("precision", "nbytes"), [("float32", 4), ("bfloat16", 2), ("float64", 8)])
def test_a_token_takes_at_least_what_reading_takes(precision: str, nbytes: int) -> None:
    for model, rate in (("e16", 200e9), ("gpt2", 20e9)):
        found = least.least_token(model, Candidate("numpy", precision), print)
        assert found == pytest.approx(nbytes * least.weights_read(model) / rate)


def test_of_other_work_nothing_is_known() -> None:
    assert least.least_token("e16", Candidate("numpy", overrides=("model.n_layer=2",)), print) is None
