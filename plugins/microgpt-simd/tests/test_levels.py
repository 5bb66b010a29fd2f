"""Levels and threads are chosen by what the machine has, or by the environment; nonsense there is an error."""

import errno
from collections.abc import Callable, Iterator

import pytest

from microgpt_core.errors import ConfigurationError
from microgpt_simd import levels, threads

TILES_REFUSED = levels.tiles_refused


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
        ("sse9", r"MICROGPT_SIMD=sse9: unknown; allowed: baseline, avx2, avx512, avx512bf16, amx, or leave it out"),
        ("avx512", r"MICROGPT_SIMD=avx512: this processor lacks avx2, avx512bw, .*; the widest here: baseline"),
    ],
)
def test_a_level_that_is_not_here_is_refused(asked: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "cpu_features", frozenset[str])
    monkeypatch.setenv(levels.FORCED, asked)
    with pytest.raises(ConfigurationError, match=message):
        levels.chosen_level()


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that has everything, and a pack that was built with everything, in a system that gives tiles."""
    monkeypatch.setattr(levels, "cpu_features", lambda: levels.LEVELS["amx"])
    monkeypatch.setattr(levels, "is_compiled", lambda level: True)
    monkeypatch.setattr(levels, "tiles_refused", lambda: None)
    monkeypatch.delenv(levels.FORCED, raising=False)


def test_amx_is_taken_where_the_system_gives_tiles(able: None) -> None:
    assert levels.chosen_level() == "amx"
    assert levels.level_and_why() == f"amx; the processor has {' '.join(sorted(levels.LEVELS['amx']))}"


@pytest.fixture
def asks(able: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What a system said that was asked for tiles, and refuses them."""
    answers: list[int] = []

    def refuse() -> int:
        answers.append(errno.EPERM)
        return errno.EPERM

    monkeypatch.setattr(levels, "tiles_refused", TILES_REFUSED)
    monkeypatch.setattr(levels.native, "ask_for_tiles", refuse)
    TILES_REFUSED.cache_clear()
    yield answers
    TILES_REFUSED.cache_clear()


REFUSED = "the system refuses this process AMX's tiles (Operation not permitted)"
LACKS = [  # what is not as it should be, and what is then said
    ("tiles_refused", lambda: "Operation not permitted", REFUSED),
    ("is_compiled", lambda level: level != "amx", "this installation was built without it"),
]


@pytest.mark.parametrize(("name", "found", "told"), LACKS)
def test_without_tiles_the_level_below_is_taken_and_why_is_told(
    name: str, found: Callable[..., object], told: str, able: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, name, found)
    assert levels.chosen_level() == "avx512bf16"
    assert levels.level_and_why().endswith(f" fma; not amx: {told}")
    monkeypatch.setenv(levels.FORCED, "avx2")
    assert levels.level_and_why().endswith(" fma")  # nobody asked for more
    monkeypatch.setenv(levels.FORCED, "amx")
    with pytest.raises(ConfigurationError) as error:
        levels.chosen_level()
    assert str(error.value) == f"MICROGPT_SIMD=amx: {told}; the widest here: avx512bf16"


def test_tiles_are_asked_for_once_and_only_where_they_can_be(asks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [levels.chosen_level() for _ in range(3)] == ["avx512bf16"] * 3
    assert asks == [errno.EPERM]
    TILES_REFUSED.cache_clear()
    monkeypatch.setattr(levels, "cpu_features", lambda: levels.LEVELS["avx512"])
    assert levels.chosen_level() == "avx512"
    assert asks == [errno.EPERM]


@pytest.mark.parametrize("asked", ["0", "two", "-1", "1.5", "99999"])
def test_a_number_of_threads_that_is_none_is_refused(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.ASKED, asked)
    with pytest.raises(ConfigurationError, match=f"MICROGPT_THREADS={asked}: allowed: a number from 1 to 1024"):
        threads.asked_threads()
