"""What this machine reaches at best: said, kept or unknown; and the share of it that a run writes down."""

import json
from pathlib import Path
from typing import Any

import pytest

from microgpt_core import run
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.runs import peak
from microgpt_core.pipeline.runs.cpu import described
from microgpt_core.pipeline.runs.peak import kept_peaks, peak_flops, peaks_file

MEASURED = {described(): {"1": {"float32": 100.0, "float64": 50.0}, "2": {"float32": 180.0}}}
FEW = {"train.max_steps": 3, "train.eval_interval": 0, "stages": ["train"]}


@pytest.fixture(autouse=True)
def nobody_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(peak.VARIABLE, raising=False)
    monkeypatch.setattr(peak, "cores", lambda: 2)


def keep(kept: Any) -> None:
    peaks_file().parent.mkdir(exist_ok=True)
    peaks_file().write_text(kept if isinstance(kept, str) else json.dumps(kept), encoding="utf-8")


def test_kept_peaks_are_those_of_this_processor() -> None:
    assert kept_peaks() == {}
    keep({**MEASURED, "another; avx": {"1": {"float32": 7.0}}})
    assert kept_peaks() == {1: {"float32": 100e9, "float64": 50e9}, 2: {"float32": 180e9}}


def test_the_peak_is_that_of_all_cores_in_the_same_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(MEASURED)
    assert (peak_flops("float32"), peak_flops("float64"), peak_flops("bfloat16")) == (180e9, None, None)
    monkeypatch.setattr(peak, "cores", lambda: 1)
    assert peak_flops("float64") == 50e9
    monkeypatch.setattr(peak, "cores", lambda: 3)
    assert peak_flops("float32") is None


def test_what_is_said_goes_before_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(MEASURED)
    monkeypatch.setenv(peak.VARIABLE, "1e3")
    assert peak_flops("bfloat16") == 1e12


@pytest.mark.parametrize("said", ["fast", "0", "-1", "nan", "inf"])
def test_what_is_no_peak(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(peak.VARIABLE, said)
    with pytest.raises(ConfigurationError, match=f"MICROGPT_PEAK_GFLOPS: found '{said}', allowed: a number above 0"):
        peak_flops("float32")


DAMAGE = ["", "{", "[]", "3", "\ud800", {described(): []}, {described(): {"1": 3}}, {described(): {"one": {}}},
          {described(): {"1": {"float32": "fast"}}}, {described(): {"2": {"float32": 0.0}}}]  # fmt: skip


@pytest.mark.parametrize("kept", DAMAGE, ids=str)
def test_a_damaged_file_tells_nothing(kept: Any) -> None:
    if kept == "\ud800":
        keep("{}")
        peaks_file().write_bytes(b"\xff")
    else:
        keep(kept)
    assert peak_flops("float32") is None


def timings(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "timings.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_writes_its_share_of_the_peak_and_nothing_else_changes(tmp_path: Path) -> None:
    unknown = run("names", FEW, output=tmp_path / "a").folder
    keep({described(): {"2": {"float32": 0.5}}})
    known = run("names", FEW, output=tmp_path / "b").folder
    assert all("mfu" not in line and line["gflops_per_s"] > 0 for line in timings(unknown))
    for line in timings(known):
        assert line["mfu"] == pytest.approx(line["gflops_per_s"] / 0.5, rel=1e-3)
    a, b = ((folder / "metrics.jsonl").read_bytes() for folder in (unknown, known))
    assert a == b


def test_what_recompute_adds_is_no_use_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(peak.VARIABLE, "0.5")
    for line in timings(run("names", {**FEW, "train.recompute": 1, "model.n_layer": 2}, output=tmp_path / "a").folder):
        assert 0.5 < line["mfu"] / (line["gflops_per_s"] / 0.5) < 0.95
