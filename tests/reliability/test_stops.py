"""Stopped twenty times, a run ends with the SHA-256 of every state file of one that was never stopped."""

import signal
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.plugins.pack import version_of
from microgpt_core.training.loss import BatchLoss

SETTINGS = {
    "train.max_steps": 60, "train.eval_interval": 7, "train.checkpoint_interval": 11, "train.accumulation": 2,
    "train.batch_size": 2, "dataset.validation": 0.01, "model.dropout": 0.1, "model.n_embd": 8,
    "optimizer": {"use": "adamw", "lr": 0.05}, "stages": ["train"],
}  # fmt: skip
STOPS = 20


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sums(folder: Path) -> dict[str, str]:
    """Of what training leaves, but for the clock's: the state, the model, the metrics."""
    paths = [*folder.glob("checkpoints/*/*"), *folder.glob("model/*"), folder / "metrics.jsonl"]
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in paths}


def with_signal(function: Callable[..., Any], at: int, number: int) -> Callable[..., Any]:
    """The function, with a signal in the middle of its call number `at`."""
    calls = [0]

    def called(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            signal.raise_signal(number)
        return function(*args)

    return called


def stopped_often(folder: Path, settings: dict[str, Any]) -> Path:
    """A run with so many signals in it: each in the middle of a batch, of a step's window or of an evaluation."""
    rng = Random(5)
    for number in range(STOPS):
        at, kind = rng.randrange(1, 9), rng.choice([signal.SIGINT, signal.SIGTERM])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BatchLoss, "inputs", with_signal(BatchLoss.inputs, at, kind))
            with pytest.raises(mg.Interrupted):
                _ = mg.resume(folder) if number else mg.run("names", settings, output=folder)
    mg.resume(folder)
    return folder


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_stopped_twenty_times(backend: str) -> None:
    if backend == "numpy" and not version_of("microgpt-numpy"):
        pytest.skip("the NumPy backend isn't installed; `tox -e packs` has it")
    settings = SETTINGS | {"backend": backend}
    whole = sums(mg.run("names", settings, output="whole").folder)
    assert sums(stopped_often(Path("stopped"), settings)) == whole
    other = sums(mg.run("names", settings | {"seed": 2}, output="other").folder)
    assert {name for name in whole if other.get(name) != whole[name]} >= {
        "metrics.jsonl",
        "model/model.safetensors",
    }  # the control


def test_what_goes_wrong_between_two_parts_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a moment that is forgotten at one of the stops."""
    whole = sums(mg.run("names", SETTINGS, output="whole").folder)
    restore, calls = mg.Trainer.restore, [0]

    def forgetful(self: mg.Trainer, checkpoint: Path) -> None:
        restore(self, checkpoint)
        calls[0] += 1
        if calls[0] == 7:
            mg.flat(self.update.buffers()["wte.weight.m"])[3] = 0.0

    monkeypatch.setattr(mg.Trainer, "restore", forgetful)
    assert sums(stopped_often(Path("stopped"), SETTINGS)) != whole
