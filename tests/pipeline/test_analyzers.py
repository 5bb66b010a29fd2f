"""Analyzers in a run: they see what they watch, change no bit, and one that fails doesn't stop it."""

import json
import logging
from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core.errors import UnknownNameError
from microgpt_core.pipeline.reading.problems import PipelineError

SHORT = {"train.max_steps": 3, "train.eval_interval": 2, "dataset.validation": 0.01, "stages": ["train"]}
PACK = '''
from dataclasses import dataclass
from microgpt_core.components import Analyzer, flat

@dataclass
class Largest(Analyzer):
    """The largest number of every watched scope, step by step."""
    name = "largest"
    watch = ("block.*.attention.q", "grad block.0")
    scale: float = 1.0

    def __post_init__(self):
        self.seen = {}

    def observe(self, step, values):
        self.seen[step] = {scope: self.scale * max(flat(x)) for scope, x in values.items()}

    def report(self):
        return {"largest": self.seen}

class Writes(Analyzer):
    name = "writes"
    watch = ("block.0",)
    def observe(self, step, values):
        values["block.0"].cast("B").cast("f")[0] = 1.0

class Silent(Analyzer):
    name = "silent"
    def report(self):
        raise OSError("no paper")

class Lost(Analyzer):
    name = "lost"
    watch = ("blok.*",)
'''


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pack.py").write_text(PACK, encoding="utf-8")


def run(*analyzers: object, **more: object):
    return mg.run("names", SHORT | {"analyzers": list(analyzers)} | more, plugins=["pack.py"])


def test_it_sees_what_it_watches_at_every_step_and_reports() -> None:
    found = run({"use": "largest", "scale": 2.0}).analysis
    steps = found["pack/largest"]["largest"]
    assert list(steps) == ["1", "2", "3"]
    assert all(set(values) == {"block.0.attention.q", "grad block.0"} for values in steps.values())
    once = run("largest").analysis["pack/largest"]["largest"]
    assert {s: {k: 2 * x for k, x in v.items()} for s, v in once.items()} == steps
    written = json.loads(Path("runs/names-1/analysis.json").read_text(encoding="utf-8"))
    assert written["pack/largest"]["largest"]["3"] == steps["3"]


def test_training_bits_don_t_change(caplog: pytest.LogCaptureFixture) -> None:
    plain, watched = mg.run("names", SHORT), run("largest", "writes", "silent", **{"train.recompute": 1})
    for name in ("metrics.jsonl", "model/model.safetensors"):
        assert (plain.folder / name).read_bytes() == (watched.folder / name).read_bytes()


def test_one_that_fails_is_told_once_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = run("writes", "largest", "silent").analysis
    told = [record.getMessage() for record in caplog.records if "analyzer" in record.getMessage()]
    assert told == [
        "analyzer pack/writes failed at step 1 and is left out from now on: TypeError: cannot modify read-only memory"
        " (pack.py; correct the file)",
        "analyzer pack/silent failed in its report and is left out from now on: OSError: no paper"
        " (pack.py; correct the file)",
    ]
    assert set(found) == {"pack/largest"}


@pytest.mark.parametrize(
    ("analyzers", "said"),
    [
        ("largest", "analyzers: expected a list of analyzers, found 'largest'"),
        (["lagest"], r"analyzers\[0\].*unknown analyzer 'lagest' \(did you mean 'largest'\?\)"),
        ([3], r"analyzers\[0\]: expected a component's name, or a mapping, found 3"),
        ([{"scale": 1.0}], r"analyzers\[0\].use: expected a component's name, found nothing"),
        ([{"use": "largest", "scal": 1.0}], r"unknown key \(did you mean 'scale'\?\)"),
        ([{"use": "largest", "scale": "x"}], "expected a number, found 'x'"),
        (["largest", "largest"], r"analyzers\[1\]: 'pack/largest' comes twice"),
    ],
)
def test_mistakes_are_said_at_their_place(analyzers: object, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        mg.run("names", SHORT | {"analyzers": analyzers}, plugins=["pack.py"])


def test_a_watch_that_fits_nothing_is_an_error_before_the_run() -> None:
    with pytest.raises(UnknownNameError, match=r"scope to watch 'blok\.\*'"):
        run("lost")
    assert not Path("runs").exists()


def test_what_was_resolved_makes_the_same_run_again() -> None:
    first = run({"use": "largest", "scale": 2.0})
    again = mg.run(first.folder / "resolved.yaml", plugins=["pack.py"], output="again")
    assert (first.folder / "analysis.json").read_bytes() == (again.folder / "analysis.json").read_bytes()
