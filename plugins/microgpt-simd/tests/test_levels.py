"""Levels and threads are chosen by what the machine has, or by the environment; nonsense there is an error."""

import pytest

from microgpt_core.errors import ConfigurationError
from microgpt_simd import levels, threads


def test_the_widest_level_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(levels.FORCED, raising=False)
    for features, level in ((set(), "baseline"), ({"avx2", "fma"}, "avx2"), (levels.LEVELS["avx512"], "avx512")):
        monkeypatch.setattr(levels, "cpu_features", lambda features=features: frozenset(features))
        assert levels.chosen_level() == level


def test_a_level_may_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(levels.FORCED, "baseline")
    assert levels.chosen_level() == "baseline"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("sse9", r"MICROGPT_SIMD=sse9: unknown; allowed: baseline, avx2, avx512, avx512bf16, or leave it out"),
        ("avx512", r"MICROGPT_SIMD=avx512: this processor lacks avx2, avx512bw, .*; the widest here: baseline"),
    ],
)
def test_a_level_that_is_not_here_is_refused(asked: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "cpu_features", frozenset[str])
    monkeypatch.setenv(levels.FORCED, asked)
    with pytest.raises(ConfigurationError, match=message):
        levels.chosen_level()


@pytest.mark.parametrize("asked", ["0", "two", "-1", "1.5", "99999"])
def test_a_number_of_threads_that_is_none_is_refused(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.ASKED, asked)
    with pytest.raises(ConfigurationError, match=f"MICROGPT_THREADS={asked}: allowed: a number from 1 to 1024"):
        threads.asked_threads()
