"""Runs that are stopped: a signal in any phase, a kill, and a run that goes on afterwards as if nothing had been."""

import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.components import Dataset
from microgpt_core.engine.capture import Captured
from microgpt_core.errors import CheckpointError, ConfigurationError, DataError, Interrupted, StorageError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.pipeline import api
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.pipeline.runs import signals
from microgpt_core.pipeline.runs.run import Reporter
from microgpt_core.saving import checkpoint as checkpoint_module
from microgpt_core.storage.lock import locked
from microgpt_core.text.char import Char
from microgpt_core.training import trainer as trainer_module
from microgpt_core.training.loss import BatchLoss

SHORT = {
    "train.max_steps": 6, "train.eval_interval": 2, "train.checkpoint_interval": 3, "generate.num_samples": 3,
    "dataset.validation": 0.01, "model.dropout": 0.1, "model.n_embd": 8,
}  # fmt: skip
MOVED = ("timings.jsonl", ".lock", "pipeline.yaml")


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Listener(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def headline(self, text: str) -> None:
        self.lines.append(text)


def files(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    contents = {name: path.read_bytes() for name, path in found.items() if name not in MOVED}
    contents["environment.json"] = re.sub(rb'"began": [\d.]+', b'"began": 0', contents["environment.json"])
    contents["stages.json"] = re.sub(rb'"seconds": [\d.]+', b'"seconds": 0', contents["stages.json"])
    return contents


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return place / mg.run("names", SHORT, output="whole").folder


@pytest.fixture
def whole(made: Path) -> dict[str, bytes]:
    """What is in the folder of a run that nobody stopped, of which there is a copy."""
    return files(shutil.copytree(made, Path("whole")))


def raising(number: int, function: Callable[..., Any], at: int) -> Callable[..., Any]:
    """The function, with the signal coming in the middle of its call number `at`."""
    calls = [0]

    def called(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            signal.raise_signal(number)
        return function(*args, **options)

    return called


# Phase -> whose function is called in it, and at which call the signal comes.
PHASES: dict[str, tuple[Any, str, int]] = {
    "load": (Dataset, "documents", 1),
    "tokenise": (Char, "encode", 10),
    "capture": (Captured, "replay_for", 1),
    "train": (BatchLoss, "train", 2),
    "evaluate in training": (BatchLoss, "evaluate", 2),
    "save": (checkpoint_module, "save_checkpoint", 1),
    "evaluate": (BatchLoss, "evaluate", 4),
    "generate": (LanguageModel, "generate", 2),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_any_phase_leaves_a_run_that_goes_on(phase: str, number: int, whole, monkeypatch) -> None:
    owner, name, at = PHASES[phase]
    if phase == "load":
        owner = mg.run("names", SHORT, output="for-its-class", force=True).dataset.__class__
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, raising(number, getattr(owner, name), at))
        with pytest.raises(Interrupted) as caught:
            mg.run("names", SHORT, output="run")
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) == before
    if not Path("run").exists():  # before anything was to be kept
        assert phase in ("load", "tokenise", "capture")
        assert str(caught.value) == "stopped"
        return
    assert "to go on: microgpt run --resume run" in str(caught.value)
    made = mg.resume("run")
    assert files(made.folder) == whole
    assert made.samples == json.loads(whole["stages.json"])["generate"]["result"]


def test_the_check_of_phases_sees_a_signal_that_is_lost(whole, monkeypatch) -> None:
    """The control: without the checkpoint of the step it came at, the run isn't the same afterwards."""
    monkeypatch.setattr(trainer_module.Trainer, "save", lambda self: None)
    with monkeypatch.context() as patch:
        patch.setattr(BatchLoss, "train", raising(signal.SIGINT, BatchLoss.train, 2))
        with pytest.raises(Interrupted):
            mg.run("names", SHORT, output="run")
    assert not list(Path("run").glob("checkpoints/step-*"))


def test_a_second_signal_ends_it_at_once(monkeypatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(signals.os, "_exit", codes.append)

    def twice(held: signals.Signals) -> None:
        with held.held():
            signal.raise_signal(signal.SIGINT)
            assert (held.received, codes) == (signal.SIGINT, [])
            signal.raise_signal(signal.SIGTERM)

    with signals.Signals() as held, pytest.raises(Interrupted):
        twice(held)
    assert codes == [143]


def test_in_another_thread_signals_are_left_alone() -> None:
    found = []

    def look() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with signals.Signals():
            found.append(signal.getsignal(signal.SIGTERM) == before)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [True]


def stopped(step: int = 4, **more: Any) -> Path:
    """A run that was stopped after this many steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchLoss, "train", raising(signal.SIGINT, BatchLoss.train, step))
        with pytest.raises(Interrupted):
            mg.run("names", SHORT | more, output="run")
    return Path("run")


def test_a_run_killed_in_a_save_goes_on_from_the_one_before(whole, monkeypatch) -> None:
    folder = stopped(5)
    pid = 2**22 + 1  # of no process
    (folder / "checkpoints" / f".step-000006.tmp-{pid}").mkdir()
    newest = folder / "checkpoints" / "step-000005"
    (newest / "trainer.json").write_text("{", encoding="utf-8")
    assert files(mg.resume("run").folder) | {"x": b""} == whole | {"x": b""} | {
        name: data for name, data in files(folder).items() if name.startswith("checkpoints/damaged-")
    }
    assert not list(folder.glob("checkpoints/.step*"))


def test_a_finished_run_has_nothing_left_to_do(whole) -> None:
    listener = Listener()
    made = mg.resume("whole", reporter=listener)
    assert [line.split(":")[0] for line in listener.lines] == ["train", "evaluate", "generate"]
    assert all(": done already, in whole; nothing that it depends on has changed" in line for line in listener.lines)
    assert files(made.folder) == whole
    assert made.evaluation["loss"] == json.loads(whole["evaluation.json"])["loss"]
    assert made.result.steps == 6


def test_a_run_that_went_on_otherwise_isnt_the_plain_one() -> None:
    """Its schedule bent for another end until it was stopped."""
    cosine = {"schedule": {"use": "cosine", "warmup_steps": 0}}
    folder, longer = stopped(3, **cosine), SHORT | cosine | {"train.max_steps": 8}
    mg.resume(folder, {"train.max_steps": 8})
    plain = mg.run("names", longer, output="plain")
    assert (plain.folder / "metrics.jsonl").read_bytes() != (folder / "metrics.jsonl").read_bytes()
    with pytest.raises(ConfigurationError, match="run exists already"):
        mg.run("names", longer, output=folder)


NOTES = [
    ({"settings": {"train.max_steps": [6, 8]}}, False),
    ({"environment": {"code.core": ["a", "b"]}}, False),
    ({"environment": {"python": ["3.10.1", "3.11.1"]}}, False),
    ({"environment": {"python": ["3.11.7", "3.11.8"], "cpu": ["old", "new"]}}, True),
    ({"settings": {"generate.num_samples": [2, 3]}}, True),
    ({"settings": {"train.max_steps": [6, 8]}, "step": 0}, True),  # it began anew
    ({"settings": {"train.max_steps": 8}, "step": "3"}, True),  # nobody wrote that
]


@pytest.mark.parametrize(("note", "same"), NOTES)
def test_what_makes_a_run_another_one_than_the_plain_one(note: dict[str, Any], same: bool, whole) -> None:
    path = Path("whole", "environment.json")
    recorded = json.loads(path.read_text(encoding="utf-8")) | {"resumed": [{"step": 3} | note]}
    path.write_text(json.dumps(recorded), encoding="utf-8")
    if same:
        assert mg.run("names", SHORT, output="whole").folder == Path("whole")
        return
    with pytest.raises(ConfigurationError, match="whole exists already"):
        mg.run("names", SHORT, output="whole")
    with pytest.raises(ConfigurationError, match="whole went on after step 3 with other "):
        mg.reproduce("whole")


def test_a_run_that_went_on_as_it_began_is_the_plain_one(whole) -> None:
    """The control."""
    folder = stopped(3)
    mg.resume(folder)
    listener = Listener()
    assert mg.run("names", SHORT, output=folder, reporter=listener).folder == folder
    assert listener.lines[0].startswith("train: done already, in run")


def test_a_finished_run_can_be_made_longer(whole) -> None:
    made = mg.resume("whole", {"train.max_steps": 8, "schedule": "constant"})
    assert made.result.steps == 8
    assert "max_steps: 8" in Path("whole/resolved.yaml").read_text(encoding="utf-8")
    assert made.evaluation["loss"] != json.loads(whole["evaluation.json"])["loss"]


FIXED = [
    ("model.n_embd", 32, "--set model.n_embd: run was begun with 8, and can't go on with 32; begin a new run"),
    ("seed", 7, "--set seed: run was begun with 1337, and can't go on with 7"),
    ("train.batch_size", 2, "--set train.batch_size: run was begun with 4, and can't go on with 2"),
    ("optimizer", "sgd", "--set optimizer.use: run was begun with 'adamw', and can't go on with 'sgd'"),
    ("dataset.validation", 0.2, "--set dataset.validation: run was begun with 0.01, and can't go on with 0.2; begin"),
    ("dataset", "tinyshakespeare", "--set dataset.use: run was begun with 'names', and can't go on with 'tinysh"),
    ("model", {"n_embd": 32}, "--set model.n_embd: run was begun with 8, and can't go on with 32; begin"),
    ("train.restore_best", False, "--set train.restore_best: run was begun with True"),
]


@pytest.mark.parametrize(("key", "value", "said"), FIXED)
def test_what_would_be_another_run_is_refused(key: str, value: object, said: str) -> None:
    folder = stopped()
    before = files(folder)
    with pytest.raises(ConfigurationError, match="init_from: run") as caught:
        mg.resume(folder, {key: value})
    assert said in str(caught.value)
    assert files(folder) == before


def test_a_text_that_has_changed_is_refused() -> None:
    Path("text.txt").write_text("one line\nanother\nand a third one\n" * 9, encoding="utf-8")
    folder = stopped(**{"dataset": {"use": "text", "path": "text.txt", "validation": 0.1}})
    Path("text.txt").write_text("one line\nanother\nand a third won\n" * 9, encoding="utf-8")
    with pytest.raises(DataError, match="the text isn't what run was trained on so far"):
        mg.resume(folder)


def test_without_a_checkpoint_it_begins_again(whole) -> None:
    folder = stopped(1, **{"train.eval_interval": 2})
    for path in folder.glob("checkpoints/step-*"):
        (path / "manifest.json").unlink()
    made = mg.resume(folder)
    assert {name: data for name, data in files(made.folder).items() if "damaged" not in name} == whole


def test_a_folder_that_is_no_run_and_one_that_somebody_is_in(whole) -> None:
    Path("empty").mkdir()
    with pytest.raises(ConfigurationError, match="isn't the folder of a run"):
        mg.resume("empty")
    with locked(Path("whole")), pytest.raises(StorageError, match="another process is at work in whole"):
        mg.resume("whole", {"generate.num_samples": 1})


def test_a_file_system_without_locks_has_none(tmp_path: Path, monkeypatch) -> None:
    from microgpt_core.storage import lock

    def refuse(descriptor: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock, "lock", refuse)
    with locked(tmp_path), locked(tmp_path):
        assert os.listdir(tmp_path) == [".lock"]


def test_a_checkpoint_of_another_run_is_refused(whole) -> None:
    folder = stopped(4)
    other = mg.run("names", SHORT | {"model.n_embd": 16}, output="other").folder
    for path in folder.glob("checkpoints/step-*"):
        for name in ("config.json", "model.safetensors", "optimizer.safetensors", "manifest.json"):
            (path / name).write_bytes((other / "checkpoints" / "step-000006" / name).read_bytes())
        (path / "manifest.json").write_text('{"version": 1, "files": {}}', encoding="utf-8")
    with pytest.raises(
        CheckpointError, match=r"step-000004.model\.safetensors: .* is float32 \(16, 16\), expected float32 \(8, 8\)"
    ):
        mg.resume(folder)


def test_nobody_else_cleans_up_or_goes_on_meanwhile(whole) -> None:
    """The control is the same call, once nobody is at work there any more."""
    folder = stopped(5)
    (folder / "checkpoints" / f".step-000006.tmp-{2**22 + 1}").mkdir()  # of no process
    (folder / "checkpoints" / "step-000005" / "trainer.json").write_text("{", encoding="utf-8")
    before = files(folder), sorted(folder.rglob("*"))
    with locked(folder):
        for overrides in ({}, {"train.max_steps": 8}):
            with pytest.raises(StorageError, match="another process is at work in run"):
                mg.resume(folder, overrides)
        assert (files(folder), sorted(folder.rglob("*"))) == before
    mg.resume(folder)
    assert (folder / "checkpoints" / "damaged-step-000005").is_dir()
    assert not list(folder.glob("checkpoints/.step*"))


def test_the_whole_of_a_resumption_is_under_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, at_work = stopped(), list[str]()

    def watched(name: str) -> None:
        function = getattr(api, name)

        def called(*args: Any, **options: Any) -> Any:
            with pytest.raises(StorageError), locked(folder):
                pass
            at_work.append(name)
            return function(*args, **options)

        monkeypatch.setattr(api, name, called)

    steps = ["settings_of", "remove_stale", "newest_checkpoint", "note_changes", "record", "execute"]
    for name in steps:
        watched(name)
    mg.resume(folder)
    assert list(dict.fromkeys(at_work)) == steps


# Settings for a run that was stopped at step 4, and for one that is finished, with 6 -> what is said against them.
TOO_LATE = [
    (
        "run",
        {"train.max_steps": 3},
        "train.max_steps: run has made 4 steps, so it can't end after 3; let it be 4",
    ),
    (
        "run",
        {"train.max_steps": None, "train.epochs": 0.0001},
        "train.epochs: run has made 4 steps, so it can't end",
    ),
    ("whole", {"train.max_steps": 5}, "train.max_steps: whole has made 6 steps, so it can't end after 5; let it be 6"),
    (
        "whole",
        {"optimizer.lr": 0.5},
        "--set optimizer.lr: whole is trained, by max_steps after 6 steps, and no",
    ),
    (
        "whole",
        {"schedule": "constant", "train.patience": 3},
        "change train.max_steps as well, so that there is one",
    ),
    ("whole", {"callbacks": [{"use": "stop-at", "loss": 1.0}]}, "--set callbacks: whole is trained"),
    ("whole", {"stages": ["generate"]}, "--set stages: whole is a run that trains; leave train in"),
]


@pytest.mark.parametrize(("name", "overrides", "said"), TOO_LATE)
def test_what_comes_too_late_is_refused(name: str, overrides: dict[str, Any], said: str, whole) -> None:
    if name == "run":
        stopped()
    before = files(Path(name))
    with pytest.raises(ConfigurationError) as caught:
        mg.resume(name, overrides)
    assert said in str(caught.value)
    assert files(Path(name)) == before


IN_TIME = [
    ("run", {"train.max_steps": 4}, 4),
    ("run", {"optimizer.lr": 0.5}, 6),
    ("whole", {"train.max_steps": 7, "optimizer.lr": 0.5, "train.patience": 9}, 7),
    ("whole", {"generate.num_samples": 1}, 6),
]


@pytest.mark.parametrize(("name", "overrides", "steps"), IN_TIME)
def test_what_comes_in_time_is_done(name: str, overrides: dict[str, Any], steps: int, whole) -> None:
    if name == "run":
        stopped()
    assert mg.resume(name, overrides).result.steps == steps


@pytest.mark.parametrize(("ended_by", "more"), [
    ("patience", {"train.patience": 50}),
    ("minutes", {"train.minutes": 60.0}),
    ("stop-at", {"callbacks": []}),
])  # fmt: skip
def test_what_ended_a_training_is_what_has_to_change(ended_by: str, more: dict[str, Any], whole) -> None:
    ledger = Path("whole/stages.json")
    ledger.write_text(ledger.read_text(encoding="utf-8").replace('"max_steps"', f'"{ended_by}"'), encoding="utf-8")
    first = {
        "patience": {"train.patience": 5},
        "minutes": {"train.minutes": 30.0},
        "stop-at": {"callbacks": [{"use": "stop-at", "loss": 0.1}]},
    }
    resolved = mg.dry_run("names", SHORT | first[ended_by], force=True).pipeline
    Path("whole/resolved.yaml").write_text(write_yaml(resolved), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"by {ended_by} .* change (train\.{ended_by}|callbacks) as well"):
        mg.resume("whole", {"optimizer.lr": 0.5})
    assert mg.resume("whole", more | {"optimizer.lr": 0.5}).result.steps >= 6


def test_a_resumption_from_a_stage(whole) -> None:
    listener = Listener()
    made = mg.resume("whole", start="evaluate", reporter=listener)
    assert [line for line in listener.lines if "done already" in line] == [
        "train: done already, in whole; nothing that it depends on has changed"
    ]
    assert files(made.folder) == whole
    with pytest.raises(
        ConfigurationError, match=r"--from train: to train again is a new run.*resolved\.yaml --from train"
    ):
        mg.resume("whole", start="train")
    with pytest.raises(ConfigurationError, match="unknown stage to begin with 'export'"):
        mg.resume("whole", start="export")
    assert files(made.folder) == whole
