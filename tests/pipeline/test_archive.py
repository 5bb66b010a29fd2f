"""What is said of runs: each as it is, a damaged one as far as it can be read, two side by side."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.errors import CheckpointError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.runs import archive
from microgpt_core.pipeline.runs.comparison import compare
from microgpt_core.pipeline.runs.differences import differing
from microgpt_core.pipeline.runs.run_report import report
from microgpt_core.plugins.loader import load
from microgpt_core.storage.lock import locked

TINY = {
    "dataset": {"use": "text", "path": "text.txt", "document": "line", "validation": 0.1}, "model.n_embd": 8,
    "train.max_steps": 6, "train.eval_interval": 2, "train.checkpoint_interval": 3, "train.batch_size": 2,
    "generate.num_samples": 2, "generate.max_new_tokens": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs, of which the second has another seed and the third is like the first."""
    folder = tmp_path_factory.mktemp("archive")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("text.txt").write_text("one line\nanother\nand a third one\n" * 9, encoding="utf-8")
        for changes in ({}, {"seed": 2, "train.eval_interval": 3}, {}):
            mg.run("names", TINY | changes, force=True)
    return folder


@pytest.fixture(autouse=True)
def copy(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def run(n: int = 1) -> Path:
    return Path("runs", f"names-{n}")


def change(path: Path, changed: Callable[[Any], Any]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(changed(data)), encoding="utf-8")


def flip(path: Path) -> None:
    """One bit, of the last byte: a weight's."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def all_that_reads(folder: Path) -> list[str]:
    """The problems that are told, from everything that reads a run."""
    registry = load(builtin)
    found = [archive.read_run(folder).problems, report(folder, registry)["problems"]]
    assert set(compare([folder, run(2)])["problems"]) >= set(found[0])
    json.dumps([archive.read_run(folder).to_dict(), report(folder, registry), compare([folder, run(2)])])
    return found[1]


def test_a_run_in_a_line() -> None:
    record = archive.read_run(run())
    metrics = [json.loads(line) for line in (run() / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = {line["step"]: line["val/loss"] for line in metrics if "val/loss" in line}
    assert (record.name, record.state, record.step, record.tokens) == ("names-1", "finished", 6, metrics[-1]["tokens"])
    assert (record.val_loss, record.best_step) == min((loss, step) for step, loss in losses.items())
    assert (record.backends, record.problems) == (["reference"], [])
    assert record.parameters == mg.load(run()).model.n_parameters
    assert record.seconds > 0
    assert all_that_reads(run()) == []


def test_the_newest_comes_first() -> None:
    for n, day in ((1, 3), (2, 1), (3, 2)):
        os.utime(run(n) / "pipeline.yaml", (1, 1))  # it is written again where a finished run is asked for otherwise
        change(run(n) / "environment.json", lambda recorded, day=day: recorded | {"began": 86_400.0 * day})
    Path("runs", ".names-4.tmp-1").mkdir()
    Path("runs", "a file").touch()
    assert [folder.name for folder in archive.run_folders()] == ["names-1", "names-3", "names-2"]


def test_when_a_run_began_stays() -> None:
    before = archive.began(run())
    os.utime(run() / "pipeline.yaml", (1, 1))
    assert archive.began(run()) == before
    change(run() / "environment.json", lambda recorded: {k: v for k, v in recorded.items() if k != "began"})
    assert archive.began(run()) == 1  # of an older run


def unfinished(folder: Path) -> None:
    change(folder / "stages.json", lambda stages: stages | {"generate": {"key": "k"}})


def longer(folder: Path) -> None:
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 7, "tokens": 9}\n')


STATES: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "finished": (lambda folder: None, "finished", 6),
    "a stage to come": (unfinished, "stopped", 6),
    "stopped while it was made longer": (longer, "stopped", 7),
    "no stage yet": (lambda folder: (folder / "stages.json").unlink(), "stopped", 6),
    "no step yet": (lambda folder: [(folder / f).unlink() for f in ("stages.json", "metrics.jsonl")], "stopped", 0),
    "not locked ever": (lambda folder: (folder / ".lock").unlink(), "finished", 6),
}


def test_a_log_that_ends_early_is_told() -> None:
    lines = (run() / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (run() / "metrics.jsonl").write_text("".join(lines[:4]), encoding="utf-8")
    record = archive.read_run(run())
    assert (record.state, record.step) == ("finished", 4)
    assert "metrics.jsonl: it ends with step 4, though 6 were made" in record.problems[0]


@pytest.mark.parametrize("case", STATES)
def test_states(case: str) -> None:
    prepare, state, step = STATES[case]
    prepare(run())
    record = archive.read_run(run())
    assert (record.state, record.step, record.problems) == (state, step, [])
    if (run() / ".lock").exists():
        with locked(run()):
            assert archive.read_run(run()).state == "running"


def test_the_lock_of_a_folder_that_cant_be_written_to_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(archive, "locked", refuse)
    assert archive.read_run(run()).state == "finished"


JSON_DAMAGE = [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe\x00", b"[" * 10_000]
DAMAGE = [
    *((name, data, name) for name in ("stages.json", "environment.json") for data in JSON_DAMAGE),
    *(("metrics.jsonl", data, "line 1 is damaged") for data in (b"{}\n", b"[]\n", b"\xff\n", b'{"step": "1"}\n')),
    ("metrics.jsonl", b'{"step": 1, "val/loss": "low"}\n', "line 1 is damaged"),
    ("timings.jsonl", b'{"step": 1, "elapsed_s": null}\n', "line 1 is damaged"),
    ("resolved.yaml", b"\xff", "utf-8"),
    ("resolved.yaml", b"{", "resolved.yaml"),
    ("resolved.yaml", None, "no resolved.yaml"),
    ("environment.json", None, "environment.json"),
]


@pytest.mark.parametrize(("name", "data", "said"), DAMAGE)
def test_damage_is_told(name: str, data: bytes | None, said: str) -> None:
    (run() / name).unlink()
    if data is not None:
        (run() / name).write_bytes(data)
    assert said in " ".join(all_that_reads(run()))


NO_RUN = ["what it says of the stage 'train' was written by no run"]
STRANGE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("stages.json", {"train": 5}, NO_RUN),
    ("stages.json", {"train": {"result": 7, "key": []}}, NO_RUN),
    ("stages.json", {"train": {"result": {"steps": "six"}}}, NO_RUN),
    ("environment.json", {"backends": 3, "parameters": "many", "code": [], "resumed": 1, "packs": None}, []),
    ("environment.json", {"backends": [None], "data": {"of": {"what": {}}}}, []),
    ("timings.jsonl", {"step": 1}, []),
    ("metrics.jsonl", {"step": 1}, ["it ends with step 1, though 6 were made"]),
]


@pytest.mark.parametrize(("name", "data", "told"), STRANGE)
def test_what_nobody_wrote_is_no_reason_to_fail(name: str, data: dict[str, Any], told: list[str]) -> None:
    (run() / name).write_text(f"{json.dumps(data)}\n", encoding="utf-8")
    (run() / "samples.txt").write_bytes(b"\xff\n")
    assert all_that_reads(run()) == [f"{run() / name}: {what}" for what in told]


def test_a_folder_in_the_place_of_each_file_is_no_reason_to_fail() -> None:
    for path in [path for path in run().iterdir() if path.is_file()]:
        path.unlink()
        path.mkdir()
    assert all_that_reads(run())


def test_a_line_that_is_being_written_isnt_there_yet() -> None:
    with (run() / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 7, "tok')
    assert archive.read_run(run()).step == 6
    assert len(report(run(), load(builtin))["metrics"]) == 6


def test_of_a_long_log_few_lines_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [{"step": n, "tokens": n} | ({"val/loss": 1.0 + 1 / n} if n % 100 == 0 else {}) for n in range(1, 1001)]
    (run() / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    parsed: list[bytes] = []
    monkeypatch.setattr(archive, "parse", lambda line: [parsed.append(line), json.loads(line)][1])
    record = archive.read_run(run())
    assert (record.step, record.val_loss, record.best_step) == (1000, 1.001, 1000)
    assert len(parsed) == 10 + 1  # of the metrics, and of the timings


DIFFERENCES: list[tuple[tuple[dict[str, Any], ...], dict[str, list[Any]]]] = [
    (({}, {}), {}),
    (({"a": {"b": 1}}, {"a": {"b": 1}}), {}),
    (({"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "c": [1, 2]}}), {"a.b": [1, 2], "a.c": [[1], [1, 2]]}),
    (({"a": 1}, {}, {"a": 1}), {"a": [1, None, 1]}),
    (({"a": None}, {}), {}),
    (({"a": {}}, {"a": {"b": 1}}), {"a": [{}, None], "a.b": [None, 1]}),
]


@pytest.mark.parametrize(("sides", "expected"), DIFFERENCES)
def test_differences(sides: tuple[dict[str, Any], ...], expected: dict[str, list[Any]]) -> None:
    assert differing(*sides) == expected


def test_the_report_has_what_was_set_and_what_came_of_it() -> None:
    found = report(run(), load(builtin))
    expected = {"seed": 2, "train.eval_interval": 3}
    other = report(run(2), load(builtin))["settings"]
    assert {key: value for key, value in other.items() if found["settings"].get(key) != value} == expected
    assert found["settings"]["model.n_embd"] == 8
    assert "model.n_layer" not in found["settings"]  # it's the default
    assert list(found["stages"]) == ["train", "evaluate", "generate"]
    assert found["stages"]["train"]["steps"] == 6
    assert [(c["name"], c["problem"]) for c in found["checkpoints"]] == [
        ("best", ""), ("step-000003", ""), ("step-000006", "")
    ]  # fmt: skip
    assert len(found["samples"]) == 2
    assert "microgpt generate" in found["next"][0]


def test_a_damaged_checkpoint_is_told_and_left_where_it_is() -> None:
    path = run() / "checkpoints" / "step-000003"
    flip(path / "model.safetensors")
    states = {state["name"]: state["problem"] for state in archive.checkpoint_states(run())}
    assert "model.safetensors" in states.pop("step-000003")
    assert set(states.values()) == {""}
    assert path.is_dir()


def test_a_checkpoint_that_has_just_gone_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(archive, "damage", gone)
    assert archive.checkpoint_states(run()) == []


def test_a_component_that_isnt_installed_is_no_reason_to_fail() -> None:
    path = run() / "resolved.yaml"
    text = path.read_text(encoding="utf-8").replace("use: adamw", "use: muon")
    path.write_text(text, encoding="utf-8")
    found = report(run(), load(builtin))
    assert found["problems"] == []
    assert found["settings"]["optimizer.use"] == "muon"
    assert "optimizer.eps" in found["settings"]  # nobody knows its default


def test_two_runs_of_the_same_making() -> None:
    found = compare([run(1), run(3)])
    assert (found["settings"], found["environment"]) == ({}, {})
    assert (found["same_making"], found["same_bits"], found["comparable"]) == (True, True, True)
    assert list(found["losses"]) == [2, 4, 6]
    assert all(a == b for a, b in found["losses"].values())


def test_one_flipped_bit_is_seen() -> None:
    flip(run(3) / "model" / "model.safetensors")
    found = compare([run(1), run(3)])
    assert (found["same_making"], found["same_bits"]) == (True, False)


def test_what_differs_and_who_is_better() -> None:
    found = compare([run(1), run(2)])
    assert found["settings"] == {"seed": [1337, 2], "train.eval_interval": [2, 3]}
    assert (found["environment"], found["metric"], list(found["losses"])) == ({}, "val/loss", [6])
    assert (found["same_making"], found["same_bits"]) == (False, False)
    losses = {archive.read_run(folder).val_loss: folder.name for folder in (run(1), run(2))}
    assert found["better"] == losses[min(losses)]


def test_runs_of_different_text_arent_ranked() -> None:
    Path("text.txt").write_text("one line\nanother\nand a third lie\n" * 9, encoding="utf-8")
    mg.run("names", TINY)
    found = compare([run(1), run(4)])
    assert list(found["settings"]) == ["dataset.path"]
    assert list(found["environment"]) == ["data"]
    assert (found["comparable"], found["better"], found["same_making"]) == (False, None, False)


def test_without_a_common_evaluation_training_losses_are_compared() -> None:
    lines = (run(2) / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (run(2) / "metrics.jsonl").write_text("".join(lines[:3]), encoding="utf-8")
    found = compare([run(1), run(2)])
    assert (found["metric"], list(found["losses"])) == ("train/loss", [1, 2, 3])


def test_the_check_of_damage_sees_an_error_that_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""

    def fail(folder: Path) -> None:
        raise CheckpointError("damaged")

    monkeypatch.setattr(archive, "read_json", fail)
    monkeypatch.setattr(archive, "read", lambda path, problems: archive.read_json(path))
    with pytest.raises(CheckpointError):
        all_that_reads(run())
