"""`microgpt doctor` tells the level, the threads and why; a setting that can't be is something to fix."""

import json

import pytest
from click.testing import CliRunner

from microgpt_core.cli.main import main
from microgpt_core.errors import ConfigurationError
from microgpt_simd import levels, threads
from microgpt_simd.backend import Simd

BOTH = frozenset({"avx2", "fma"})


@pytest.mark.parametrize(
    ("forced", "features", "told"),
    [
        ("", BOTH, "avx2; the processor has avx2 fma"),
        ("baseline", BOTH, "baseline, as MICROGPT_SIMD asks; the processor has avx2 fma"),
        ("", frozenset[str](), "baseline; the processor has no wider vectors"),
    ],
)
def test_the_level_and_why(forced: str, features: frozenset[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(levels.FORCED, forced)
    monkeypatch.setattr(levels, "cpu_features", lambda: features)
    assert Simd().details()["level"] == told


@pytest.mark.parametrize(
    ("asked", "share", "told"),
    [
        ("", None, "4; the system allows 4 cores"),
        ("", 1.5, "2; the system allows 4 cores, of whose time this container gets 1.5"),
        ("3", None, "3, as MICROGPT_THREADS asks; the system allows 4 cores"),
    ],
)
def test_the_threads_and_why(asked: str, share: float | None, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.ASKED, asked)
    monkeypatch.setattr(threads, "affinity", lambda: 4)
    monkeypatch.setattr(threads, "cores_of_time", lambda: share)
    assert Simd().details()["threads"] == told


def test_doctor_prints_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGPT_PLUGINS", "simd")
    monkeypatch.setenv(levels.FORCED, "baseline")
    monkeypatch.setenv(threads.ASKED, "3")
    lines = CliRunner().invoke(main, ["doctor"], prog_name="microgpt").stdout.splitlines()
    (level,) = [line for line in lines if line.startswith("simd level ")]
    assert level.startswith("simd level    baseline, as MICROGPT_SIMD asks; ")
    assert [line for line in lines if line.startswith("simd threads  3, as MICROGPT_THREADS asks; ")]
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"], prog_name="microgpt").stdout)
    assert f"simd level    {found['backends']['simd']['level']}" == level


def test_what_cannot_be_is_something_to_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGPT_PLUGINS", "simd")
    monkeypatch.setenv(levels.FORCED, "sse9")
    with pytest.raises(ConfigurationError, match="MICROGPT_SIMD=sse9: unknown; allowed: baseline, "):
        Simd().details()
    result = CliRunner().invoke(main, ["doctor"], prog_name="microgpt")
    assert result.exit_code == 1
    assert "backend 'simd' (microgpt-simd 0.1.0): MICROGPT_SIMD=sse9: unknown; allowed: baseline, " in result.stdout
