"""The reading that tokens are put beside: as many bytes as the weights have that a token needs, each of them once."""

import pytest

from microgpt_bench.candidate import READING, Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.measuring.agree import same_text
from microgpt_bench.measuring.race import Effort, race
from microgpt_bench.work import reading
from microgpt_bench.work.generate import Generate
from microgpt_bench.work.memory import needed
from microgpt_bench.work.reading import Reading, weights_read


@pytest.mark.parametrize(
    ("model", "tables", "rows"),
    [("e16", (27 + 8) * 16, 2 * 16), ("char-small", (65 + 64) * 128, 2 * 128), ("gpt2", 256 * 768, 768)],
)
def test_of_tables_a_row_is_read_and_of_all_else_everything(model: str, tables: int, rows: int) -> None:
    """GPT-2's own embedding is its head, too, and read as a whole."""
    assert weights_read(model) == GOLDEN[model].shape().n_parameters - tables + rows


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("precision", "nbytes"), [("float32", 4), ("bfloat16", 2), ("float64", 8)])
def test_it_goes_over_the_bytes_of_a_token(
    precision: str, nbytes: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread over its part, `n` times for `n` tokens: counted by the passes themselves."""
    moved: list[int] = []
    made = Reading("char-small", precision, threads)

    def counted(buffer, times):
        run = way(buffer, times)
        return lambda: moved.append(run()) or 0

    way, made.way = made.way, counted  # type: ignore[assignment]
    assert made.run(3) == []
    expected = 3 * nbytes * weights_read("char-small")
    assert len(moved) == threads
    assert expected * 0.99 < sum(moved) <= expected * 1.01


def test_the_fastest_way_to_read_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"slow": 2.0, "fast": 1.0}
    monkeypatch.setattr(Reading, "seconds", lambda self, way: seconds[way])
    kernels = [type("Kernels", (), {"streams": {"read": list(seconds)}})]
    monkeypatch.setattr(reading, "kernels_with", lambda native: kernels)
    assert Reading("e16", "float32", 1).way == "fast"


def test_it_races_and_is_asked_for_no_text() -> None:
    differences: dict[str, dict[str, float]] = {}
    who = [Candidate("reference"), Candidate(READING, peer=True), Candidate("numpy")]
    timed = race("generate", who, {"model": "e16"}, Effort(1, 1, 0.01), check=same_text(differences))
    assert [one.left_out for one in timed] == ["", "", ""]
    assert set(differences) == {"numpy"}
    assert timed[1].rounds[0][0] < timed[0].rounds[0][0]
    assert isinstance(Generate(who[1], "e16").generation, Reading)


def test_it_needs_the_memory_that_it_reads() -> None:
    own = [
        needed("generate", "gpt2", Candidate(READING, precision, peer=True)) for precision in ("bfloat16", "float32")
    ]
    assert 2 * weights_read("gpt2") < own[0] < own[1] < needed("generate", "gpt2", Candidate("torch", peer=True))
