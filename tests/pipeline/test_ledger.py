"""Stages that are done aren't done again, unless anything that they are made of has changed."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.errors import ConfigurationError, StorageError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.pipeline import api
from microgpt_core.pipeline.runs import archive, code
from microgpt_core.pipeline.runs.run import Reporter, Run
from microgpt_core.storage.lock import locked
from microgpt_core.training.trainer import Trainer

SHORT = {
    "train.max_steps": 2, "train.eval_interval": 1, "generate.num_samples": 2, "dataset.validation": 0.01,
    "model.n_embd": 8,
}  # fmt: skip
PACK = '''
from microgpt_core.components import Unary
from microgpt_core.hookspecs import hookimpl
from microgpt_core.pipeline.stage import stage

class Cubed(Unary):
    """x^3"""
    name = "cubed"
    def f(self, x): return x * x * x
    def df(self, x): return 3.0 * x * x

def shout(run): return [text.upper() for text in run.samples]

@stage(writes=("words.txt",))
def prepare(run):
    (run.folder / "words.txt").write_text("one two", encoding="utf-8")

def strange(run): return {"what": {1, 2}}

@hookimpl
def microgpt_stages(): return {"shout": shout, "prepare": prepare, "strange": strange}
'''


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pack.py").write_text(PACK, encoding="utf-8")


class Listener(Reporter):
    def __init__(self) -> None:
        self.kept: list[str] = []
        self.lines: list[str] = []

    def headline(self, text: str) -> None:
        self.lines.append(text)
        if ": done already, in runs" in text or ": done already, in mine" in text:
            self.kept.append(text.split(":")[0])


def run(pipeline: str = "names", **more: Any) -> tuple[Run, list[str]]:
    """A run, and the stages that were left as they were."""
    listener = Listener()
    overrides = SHORT | more.pop("overrides", {})
    made = mg.run(pipeline, overrides, plugins=["pack.py"], reporter=listener, **more)
    return made, listener.kept


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_pipeline_run_twice_does_nothing_the_second_time() -> None:
    first, kept = run()
    assert kept == []
    before = stamps(first.folder)
    second, kept = run()
    assert kept == ["train", "evaluate", "generate"]
    assert second.folder == first.folder
    assert stamps(first.folder) == before
    assert (second.samples, second.evaluation, second.result) == (first.samples, first.evaluation, first.result)
    assert second.model.generate("a", seed=3) == first.model.generate("a", seed=3)


# Change -> the stages that are left as they were, and whether it is the same run.
CHANGES = [
    ({"generate.temperature": 0.5}, ["train", "evaluate"], True),
    ({"generate.num_samples": 1}, ["train", "evaluate"], True),
    ({"stages": ["train", "evaluate"]}, ["train", "evaluate"], True),
    ({"stages": ["train", "generate"]}, ["train", "generate"], True),
    ({"train.max_steps": 3}, [], False),
    ({"seed": 1}, [], False),
    ({"optimizer.lr": 0.1}, [], False),
    ({"model.activation": "gelu"}, [], False),
    ({"dataset.validation": 0.02}, [], False),
]


@pytest.mark.parametrize(("overrides", "expected", "same"), CHANGES)
def test_what_a_change_makes_run_again(overrides: dict[str, Any], expected: list[str], same: bool) -> None:
    first, _ = run()
    second, kept = run(overrides=overrides)
    assert kept == expected
    assert (second.folder == first.folder) == same
    anew, _ = run(overrides=overrides, output="anew")
    assert (second.folder / "resolved.yaml").read_bytes() == (anew.folder / "resolved.yaml").read_bytes()
    assert second.samples == anew.samples
    assert second.evaluation == anew.evaluation


def test_a_text_that_has_changed_is_trained_on_anew() -> None:
    for letter, expected in (("a", []), ("a", ["train", "evaluate", "generate"]), ("b", [])):
        Path("text.txt").write_text(f"one line\n{letter}nother\n" * 40, encoding="utf-8")
        _, kept = run(overrides={"dataset": {"use": "text", "path": "text.txt", "validation": 0.1}})
        assert kept == expected


def test_code_that_has_changed_runs_again(monkeypatch) -> None:
    settings = {"model.activation": "cubed"}
    assert run(overrides=settings)[1] == []
    assert run(overrides=settings)[1] == ["train", "evaluate", "generate"]
    assert run()[1] == []  # without the pack's op
    Path("pack.py").write_text(PACK.replace("3.0 * x * x", "2.0 * x * x"), encoding="utf-8")
    assert run()[1] == ["train", "evaluate", "generate"]  # the pack isn't used here
    assert run(overrides=settings)[1] == []
    monkeypatch.setattr(code, "folder_digest", lambda *args: "another core")
    assert run()[1] == []


def test_what_a_stage_wrote_and_somebody_changed_is_written_again() -> None:
    made, _ = run()
    (made.folder / "samples.txt").write_text("mine\n", encoding="utf-8")
    assert run()[1] == ["train", "evaluate"]
    (made.folder / "evaluation.json").unlink()
    assert run()[1] == ["train", "generate"]
    before = (made.folder / "model" / "model.safetensors").read_bytes()
    (made.folder / "model" / "model.safetensors").write_bytes(before[:-1] + b"x")
    second, kept = run()
    assert second.folder != made.folder
    assert (second.folder / "model" / "model.safetensors").read_bytes() == before


def test_force_makes_a_new_run() -> None:
    first, _ = run()
    second, kept = run(force=True)
    assert (kept, second.folder.name) == ([], "names-2")
    assert second.samples == first.samples


def test_it_can_begin_at_a_stage() -> None:
    first, _ = run()
    second, kept = run(start="evaluate")
    assert (kept, second.folder) == (["train"], first.folder)
    assert run(start="generate")[1] == ["train", "evaluate"]
    with pytest.raises(
        ConfigurationError, match=r"unknown stage to begin with 'export'; known: evaluate, generate, train"
    ):
        run(start="export")


def test_to_begin_at_a_stage_needs_those_before_it() -> None:
    with pytest.raises(ConfigurationError, match="--from generate: no run has done what comes before it"):
        run(start="generate")
    assert not Path("runs").exists()


def test_a_folder_of_its_own() -> None:
    run(output="mine")
    assert run(output="mine")[1] == ["train", "evaluate", "generate"]
    with pytest.raises(ConfigurationError, match="mine exists already; .*--resume mine.*--force"):
        run(output="mine", overrides={"seed": 5})
    assert run(output="mine", overrides={"seed": 5}, force=True)[1] == []


def test_a_stage_that_leaves_nothing_runs_every_time() -> None:
    stages = {"stages": ["train", "generate", "shout"]}
    first, _ = run(overrides=stages)
    second, kept = run(overrides=stages)
    assert kept == ["train", "generate"]
    assert second.results["shout"] == [text.upper() for text in first.samples]


def test_a_run_that_was_stopped_is_pointed_to(monkeypatch) -> None:
    made, _ = run()
    ledger = json.loads((made.folder / "stages.json").read_text(encoding="utf-8"))
    (made.folder / "stages.json").write_text(json.dumps({"train": {"key": ledger["train"]["key"]}}), encoding="utf-8")
    listener = Listener()
    second = mg.run("names", SHORT, reporter=listener)
    assert second.folder.name == "names-2"
    why = "its stage train isn't finished"
    assert f"{made.folder} is the same run, but {why}; to go on with it: --resume {made.folder}" in listener.lines


MISTAKES = [
    (["generate", "train"], "'generate' builds on 'train', which comes after it"),
    (["train", "train"], "'train' comes twice"),
]


@pytest.mark.parametrize(("stages", "said"), MISTAKES)
def test_stages_in_an_order_that_cant_be(stages: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run(overrides={"stages": stages})


def test_no_stage_at_all() -> None:
    with pytest.raises(ConfigurationError, match="stages: expected at least one stage, such as train"):
        run(overrides={"stages": []})


def test_to_train_again_is_a_new_run() -> None:
    first, _ = run()
    before = stamps(first.folder)
    second, kept = run(start="train")
    assert (kept, second.folder.name) == ([], "names-2")
    assert second.samples == first.samples
    with pytest.raises(ConfigurationError, match="names-1 exists already"):
        run(start="train", output=first.folder)
    assert stamps(first.folder) == before


def test_a_folder_that_somebody_is_in_is_left_as_it_is() -> None:
    made, _ = run()
    before = stamps(made.folder)
    with locked(made.folder), pytest.raises(StorageError, match="another process is at work"):
        run(start="generate", overrides={"generate.temperature": 0.1})
    assert {name: stamp for name, stamp in stamps(made.folder).items() if name != ".lock"} == {
        name: stamp for name, stamp in before.items() if name != ".lock"
    }


def lines(pipeline: str = "names", **more: Any) -> tuple[Run, list[str]]:
    """A run, and all that it said."""
    listener = Listener()
    overrides = SHORT | more.pop("overrides", {})
    return mg.run(pipeline, overrides, plugins=["pack.py"], reporter=listener, **more), listener.lines


UNTRAINED = {"stages": ["evaluate", "generate"]}


def test_where_nothing_is_trained_the_first_stage_decides() -> None:
    first, _ = run(overrides=UNTRAINED)
    second, kept = run(overrides=UNTRAINED | {"generate.temperature": 0.5})
    assert (second.folder, kept) == (first.folder, ["evaluate"])
    anew, _ = run(overrides=UNTRAINED | {"generate.temperature": 0.5}, output="anew")
    assert second.samples == anew.samples != first.samples
    assert run(overrides=UNTRAINED, start="evaluate")[1] == []
    assert not Path("runs/names-2").exists()


def test_a_stage_before_train_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done, and training isn't: that is a run that was stopped."""
    stages = {"stages": ["prepare", "train"]}
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", lambda self: signal.raise_signal(signal.SIGINT))
        with pytest.raises(mg.Interrupted):
            run(overrides=stages)
    made, said = lines(overrides=stages)
    assert made.folder.name == "names-2"
    assert said[0].startswith("runs")
    assert "names-1 is the same run, but its stage train isn't finished" in said[0]
    assert run(overrides=stages)[1] == ["prepare", "train"]
    assert run(overrides=stages, start="train")[0].folder.name == "names-3"


def test_nothing_untrained_is_written_into_the_folder_of_a_trained_run() -> None:
    first, _ = run(overrides={"stages": ["prepare", "train", "generate"]})
    before = stamps(first.folder)
    second, _ = run(overrides={"stages": ["prepare", "generate"]})
    assert second.folder != first.folder
    assert stamps(first.folder) == before


SILENT = [
    (["prepare"], {}),
    (["shout"], {}),
    (["train", "generate"], {}),
    (["generate"], {"init_from": "runs/names-1"}),
]


@pytest.mark.parametrize(("stages", "more"), [(["generate"], {}), (["evaluate", "generate", "export"], {}), *SILENT])
def test_a_model_that_nobody_trained_is_told_of_once(stages: list[str], more: dict[str, Any]) -> None:
    if more:
        run(overrides={"stages": ["train"]})
    _, said = lines(overrides={"stages": stages, **more})
    told = [line for line in said if "its weights are as they were drawn; add train to stages" in line]
    assert len(told) == ((stages, more) not in SILENT)


REASONS: list[tuple[dict[str, Any], str | None, str]] = [
    (
        {"generate.temperature": 0.5},
        None,
        "generate: it was made of other settings, text, code or stages before it, so",
    ),
    ({}, "evaluation.json", "evaluate: it wrote evaluation.json, which has changed since, so it is run again"),
    ({}, "samples.txt", "generate: it wrote samples.txt, which has changed since, so it is run again"),
    ({"stages": ["train", "generate", "shout"]}, None, "shout: it leaves no file to tell by, so it is run again"),
]


@pytest.mark.parametrize(("overrides", "damaged", "said"), REASONS)
def test_why_a_finished_stage_is_run_again(overrides: dict[str, Any], damaged: str | None, said: str) -> None:
    first, heard = lines(overrides=overrides if "stages" in overrides else {})
    assert not [line for line in heard if "run again" in line]
    if damaged:
        (first.folder / damaged).write_text("another", encoding="utf-8")
    again = [line for line in lines(overrides=overrides)[1] if "run again" in line]
    assert len(again) == 1
    assert again[0].startswith(said)


def test_a_model_that_somebody_changed_is_why_the_run_isnt_taken() -> None:
    first, _ = run()
    (first.folder / "model" / "model.safetensors").write_bytes(b"")
    expected = f"{first.folder} is the same run, but its stage train wrote model/model.safetensors, which has changed"
    assert any(line.startswith(expected) for line in lines()[1])


DAMAGE = ["", "{", "[]", '{"train": 5}', '{"train": {"result": {}}}', '{"train": {"key": "x", "result": {}}}',
          '{"train": {"key": "x", "result": {}, "files": []}}', '{"train": {"key": 1}}']  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_ledger_of_another_run_is_passed_over(damage: str) -> None:
    first, _ = run()
    second, _ = run(overrides={"seed": 2})
    (second.folder / "stages.json").write_text(damage, encoding="utf-8")
    made, said = lines()
    assert made.folder == first.folder
    assert said[0].startswith(f"warning: {second.folder / 'stages.json'}: ")
    assert said[0].endswith(f"; passed over. To mend it: --resume {second.folder}")
    assert "warning" not in " ".join(said[1:])


def test_a_damaged_ledger_of_the_run_itself_is_made_anew() -> None:
    first, _ = run()
    ledger = first.folder / "stages.json"
    before, model = (
        json.loads(ledger.read_text(encoding="utf-8")),
        (first.folder / "model/model.safetensors").read_bytes(),
    )
    ledger.write_text('{"train": {}}', encoding="utf-8")
    listener = Listener()
    mended = mg.resume(first.folder, reporter=listener)
    expected = f"warning: {ledger}: what it says of the stage 'train' was written by no run; no stage counts as done"
    assert expected in listener.lines
    after = json.loads(ledger.read_text(encoding="utf-8"))
    assert [entry["files"] for entry in after.values()] == [entry["files"] for entry in before.values()]
    assert (mended.samples, mended.evaluation) == (first.samples, first.evaluation)
    assert (first.folder / "model/model.safetensors").read_bytes() == model


def test_a_folder_that_is_named_and_damaged_is_kept() -> None:
    run(output="mine")
    Path("mine/stages.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="mine exists already"):
        run(output="mine")


def test_what_json_cant_hold_is_the_stages_mistake() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"stage 'strange' of pack\.py returned \{'what': \{1, 2\}\}, .*type set is not.*; allowed: None, true",
    ):
        run(overrides={"stages": ["strange"]})


def test_a_stage_that_is_being_run_again_isnt_done(monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "generate", lambda *args, **options: signal.raise_signal(signal.SIGINT))
        with pytest.raises(mg.Interrupted):
            run(overrides={"generate.temperature": 0.5})
    assert archive.read_run(Path("runs/names-1")).state == "stopped"
    assert mg.resume("runs/names-1").samples == run(overrides={"generate.temperature": 0.5}, output="anew")[0].samples


def test_a_run_that_somebody_changed_just_now_is_no_more_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = run()

    @contextmanager
    def late(folder: Path) -> Iterator[None]:
        (folder / "model" / "model.safetensors").write_bytes(b"longer")
        yield

    monkeypatch.setattr(api, "locked", late)
    with pytest.raises(StorageError, match="another process has just changed"):
        run()
    assert json.loads((made.folder / "stages.json").read_text(encoding="utf-8"))["train"]["result"]["steps"] == 2
