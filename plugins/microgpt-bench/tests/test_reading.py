"""The reading that tokens are put beside: as many bytes as the weights have that a token needs, each of them once."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from microgpt_bench.candidate import READING, Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.measuring.agree import same_text
from microgpt_bench.measuring.race import Effort, race
from microgpt_bench.work import reading
from microgpt_bench.work.generate import Generate
from microgpt_bench.work.memory import needed, token_bytes, weights_read
from microgpt_bench.work.reading import Reading


@pytest.mark.parametrize(
    ("model", "tables", "rows"),
    [("e16", (27 + 8) * 16, 2 * 16), ("char-small", (65 + 64) * 128, 2 * 128), ("gpt2", 256 * 768, 768)],
)
def test_of_tables_a_row_is_read_and_of_all_else_everything(model: str, tables: int, rows: int) -> None:
    """GPT-2's own embedding is its head, too, and read as a whole."""
    assert weights_read(model) == GOLDEN[model].shape().n_parameters - tables + rows


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("nbytes", [14_000, 100_000, 12_345_678])
def test_it_goes_over_the_bytes_of_a_token(nbytes: int, threads: int) -> None:
    """Each thread over its part, `n` times for `n` tokens: counted by the passes themselves. Parts are rounded, and
    the tokens that a time is counted with say by how much.
    """
    moved: list[int] = []
    made = Reading(nbytes, threads)

    def counted(buffer, times):
        run = way(buffer, times)
        return lambda: moved.append(run()) or 0

    way, made.way = made.way, counted  # type: ignore[assignment]
    assert made.run(3) == []
    assert len(moved) == threads
    assert sum(moved) == pytest.approx(3 * made.tokens * nbytes)
    assert made.tokens == pytest.approx(1.0, abs=512 * threads / nbytes)


@pytest.mark.parametrize(("precision", "nbytes"), [("float32", 4), ("bfloat16", 2), ("float64", 8)])
def test_a_weight_has_the_bytes_of_its_precision(precision: str, nbytes: int) -> None:
    whole = nbytes * weights_read("e16")
    assert token_bytes("e16", precision) == whole
    work = Generate(Candidate(READING, precision, peer=True), "e16")
    assert work.facts()["tokens"] == pytest.approx(whole // 512 * 512 / whole)


def test_the_fastest_way_to_read_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are known first; who brings no way to read leaves it to the next."""
    seconds = {"slow": 2.0, "fast": 1.0, "ours": 3.0}
    monkeypatch.setattr(Reading, "seconds", lambda self, way: seconds[way])
    kernels = [SimpleNamespace(streams={}), SimpleNamespace(streams={"read": ["slow", "fast"]})]
    monkeypatch.setattr(reading, "kernels_with", lambda native: kernels)
    assert Reading(4096, 1).way == "fast"


def test_it_races_and_is_asked_for_no_text() -> None:
    differences: dict[str, dict[str, float]] = {}
    who = [Candidate("reference"), Candidate(READING, peer=True), Candidate("numpy")]
    timed = race("generate", who, {"model": "e16"}, Effort(1, 1, 0.01), check=same_text(differences))
    assert [one.left_out for one in timed] == ["", "", ""]
    assert set(differences) == {"numpy"}
    assert all(ns > 0 for one in timed for ns in one.rounds[0])
    assert isinstance(Generate(who[1], "e16").generation, Reading)


def test_it_needs_the_memory_that_it_reads() -> None:
    own = [
        needed("generate", "gpt2", Candidate(READING, precision, peer=True)) for precision in ("bfloat16", "float32")
    ]
    assert 2 * weights_read("gpt2") < own[0] < own[1] < needed("generate", "gpt2", Candidate("torch", peer=True))


def test_who_writes_tokens_holds_no_numpy_for_it() -> None:
    """It would be counted as the candidate's own memory."""
    code = """
import sys
from microgpt_bench.candidate import Candidate
from microgpt_bench.work.generate import Generate

Generate(Candidate("reference"), "e16").run(2)
print("numpy" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"
