"""`mg.run` and `mg.load`: a run leaves a whole folder, the same twice, and nothing where something was wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.errors import ConfigurationError, DataError, DoesNotFitError, StorageError
from microgpt_core.pipeline import api
from microgpt_core.pipeline.folders import find_run, model_folder, new_folder
from microgpt_core.pipeline.preview import forecast
from microgpt_core.pipeline.runs.run import Reporter, Run
from microgpt_core.storage.lock import locked
from microgpt_core.storage.manifest import verify_folder

SHORT = {
    "train.max_steps": 4,
    "train.eval_interval": 2,
    "train.checkpoint_interval": 2,
    "generate.num_samples": 3,
    "dataset.validation": 0.01,
    "model.n_embd": 8,
}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def short(**more: Any) -> Run:
    return mg.run("names", SHORT | more.pop("overrides", {}), **more)


def test_a_run_leaves_everything_in_its_folder() -> None:
    run = short()
    assert run.folder == Path("runs/names-1")
    found = {p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*") if p.is_file()}
    checkpoint = {"config.json", "model.safetensors", "tokenizer.json", "optimizer.safetensors", "trainer.json"}
    assert {"pipeline.yaml", "resolved.yaml", "environment.json", "metrics.jsonl", "timings.jsonl"} <= found
    assert {"samples.txt", "evaluation.json", "model/model.safetensors", "checkpoints/best/config.json"} <= found
    assert {f"checkpoints/step-000004/{name}" for name in checkpoint} <= found
    for folder in (run.folder / "model", *(run.folder / "checkpoints").iterdir()):
        verify_folder(folder)
    about = json.loads((run.folder / "model" / "config.json").read_text(encoding="utf-8"))["about"]
    assert about["run"] == "names"
    assert about["made by"].startswith("microgpt-core")
    steps = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [s["step"] for s in steps] == [1, 2, 3, 4]
    assert ["val/loss" in s for s in steps] == [False, True, False, True]
    samples = (run.folder / "samples.txt").read_text(encoding="utf-8").splitlines()
    assert samples == run.samples
    assert len(samples) == 3


def test_two_runs_are_the_same_to_the_bit_and_numbered() -> None:
    first, second = short(), short(force=True)
    assert (first.folder.name, second.folder.name) == ("names-1", "names-2")
    for name in ("metrics.jsonl", "samples.txt", "resolved.yaml", "model/model.safetensors"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name
    other = short(overrides={"seed": 2})  # the control: another seed is another run
    assert (first.folder / "metrics.jsonl").read_bytes() != (other.folder / "metrics.jsonl").read_bytes()


def test_resolved_file_runs_to_the_same_result() -> None:
    first = short()
    again = mg.run(first.folder / "resolved.yaml", output="again")
    assert (first.folder / "metrics.jsonl").read_bytes() == (again.folder / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["latest", "names-1", "runs/names-1", "runs/names-1/model"])
def test_load_finds_the_model_and_it_is_the_trained_one(name: str) -> None:
    run = short()
    logits = run.model.logits([[0, 1, 2]]).tolist()
    loaded = mg.load(name)
    assert loaded.logits([[0, 1, 2]]).tolist() == logits
    assert loaded.generate("a", seed=3) == run.model.generate("a", seed=3)


TWIN = """
from microgpt_core import Backend, Pass

class Twin(Backend):
    name, priority, passes = "twin", 5, ("idle",)

class Idle(Pass):
    name = "idle"
    def rewrite(self, trace, kept): return trace
"""


@pytest.mark.parametrize(
    ("how", "backends", "passes"),
    [
        ({}, ["twin", "reference"], ["idle"]),
        ({"backend": "reference"}, ["reference"], []),
        ({"passes": []}, ["twin", "reference"], []),
        ({"backend": "reference", "passes": ["idle"]}, ["reference"], ["idle"]),
    ],
    ids=str,
)
def test_a_model_is_loaded_to_compute_as_one_asks(how: dict[str, Any], backends: list[str], passes: list[str]) -> None:
    Path("twin.py").write_text(TWIN, encoding="utf-8")
    run = short()
    loaded = mg.load(run.folder, ["twin.py"], **how)
    assert [backend.name for backend in loaded.kernels.backends] == backends
    assert [each.name for each in loaded.kernels.passes] == passes
    assert loaded.generate("a", seed=3) == run.model.generate("a", seed=3)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"backend": "twin"}, "unknown backend 'twin'"),
        ({"precision": "float16"}, "precision"),
        ({"precision": "float64"}, "a model keeps the format that it was saved in"),
        ({"model.n_layer": 2}, "unknown setting to load a model with 'model.n_layer'.*backend, kernels, passes"),
    ],
    ids=str,
)
def test_a_model_is_loaded_by_no_other_settings(how: dict[str, Any], message: str) -> None:
    run = short()
    with pytest.raises(mg.MicrogptError, match=message):
        mg.load(run.folder, **how)


def test_an_existing_folder_is_kept_unless_forced() -> None:
    run = short(output="mine")
    before = (run.folder / "metrics.jsonl").read_bytes()
    with pytest.raises(ConfigurationError, match="mine exists already.*--force"):
        short(output="mine", overrides={"seed": 5})
    assert (run.folder / "metrics.jsonl").read_bytes() == before
    short(output="mine", force=True, overrides={"seed": 5})
    assert (run.folder / "metrics.jsonl").read_bytes() != before


def test_force_never_replaces_a_run_that_is_going_on() -> None:
    """Its process would go on into the folder of the new one, and mix the two."""
    run = short(output="mine")
    before = (run.folder / "metrics.jsonl").read_bytes()
    with locked(run.folder), pytest.raises(StorageError, match="another process is at work in mine"):
        short(output="mine", force=True, overrides={"seed": 5})
    assert (run.folder / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("output", ["file/run", "file/deep/run"])
def test_a_place_where_no_folder_can_be_made_is_a_storage_error(output: str) -> None:
    Path("file").write_text("no folder", encoding="utf-8")
    with pytest.raises(StorageError, match="can't write file"):
        short(output=output)
    assert Path("file").read_text(encoding="utf-8") == "no folder"


@pytest.mark.parametrize("force", [False, True])
def test_a_number_that_another_process_took_meanwhile_is_left_to_it(
    force: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that are begun at once: each gets a folder of its own."""
    recorded, others = api.environment, ["names-1", "names-2", "mine"]

    def slow(run: Run) -> dict[str, Any]:
        if others and run.folder.name == others[0]:
            run.folder.mkdir(parents=True)
            (run.folder / "resolved.yaml").write_text("another's", encoding="utf-8")
            others.pop(0)
        return recorded(run)

    monkeypatch.setattr(api, "environment", slow)
    assert short(overrides={"stages": ["train"]}, force=force).folder.name == "names-3"
    with pytest.raises(ConfigurationError, match="mine exists already"):
        short(output="mine")
    for name in ("runs/names-1", "runs/names-2", "mine"):
        assert Path(name, "resolved.yaml").read_text(encoding="utf-8") == "another's"
    assert not [path for path in (*Path().iterdir(), *Path("runs").iterdir()) if ".tmp-" in path.name]


@pytest.mark.parametrize("act", [mg.run, mg.dry_run])
def test_a_name_that_the_system_cant_have(act: Callable[..., object]) -> None:
    with pytest.raises(StorageError, match=f"can't write {'x' * 300}"):
        act("names", SHORT, output="x" * 300)
    assert not list(Path().iterdir())


def test_what_is_started_by_force_isnt_told_of_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "available_disk", lambda folder: 1000)
    with pytest.raises(DoesNotFitError, match=r"1\.0 kB are free in runs.names-1; .* or start anyway: --force$"):
        short()
    recorder = Recorder()
    short(force=True, reporter=recorder)
    assert recorder.seen[0].startswith("started by --force, though the run writes ")
    assert recorder.seen[0].endswith("; lower train.keep_checkpoints, or choose another --output")


def test_force_never_replaces_what_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="isn't the folder of a run"):
        short(output="thesis", force=True)
    assert (tmp_path / "thesis" / "chapter1.txt").exists()


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        ({"dataset": {"use": "text", "path": "nothing.txt"}}, DataError, "nothing.txt"),
        ({"dataset": {"use": "text", "path": "blank.txt"}}, DataError, "only white space"),
        ({"model.n_head": 5}, ConfigurationError, "must be divisible"),
        ({"model.activation": "relu3"}, ConfigurationError, "did you mean 'relu"),
        ({"model.activation": "rmsnorm"}, ConfigurationError, "activation"),
        ({"backend": "simd"}, ConfigurationError, "simd"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    overrides: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "blank.txt").write_text(" \n\n", encoding="utf-8")
    with pytest.raises(error, match=message):
        short(overrides=overrides)
    assert not (tmp_path / "runs").exists()


def test_one_long_text_is_read_in_windows_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("the quick brown fox " * 50, encoding="utf-8")
    names = ("dataset", {"use": "text", "path": "long.txt", "validation": 0.2})
    run = mg.run("names", dict([names]) | {"train.batching": None, "train.max_steps": 2, "generate.num_samples": 1})
    assert run.batching == "random_window"
    assert run.batches.batch(0).shape == (run.pipeline.train.batch_size, 16)
    assert run.evaluation["loss"] > 0


def test_evaluate_without_held_out_text_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="dataset.validation"):
        short(overrides={"dataset.validation": 0.0})
    assert not Path("runs").exists()  # it is said before training, not after


class Recorder(Reporter):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def headline(self, text: str) -> None:
        self.seen.append(text)

    def sample(self, text: str) -> None:
        self.seen.append("sample")

    def step(self, step: Any) -> None:
        self.seen.append(f"step {step.step}")

    def done(self) -> None:
        self.seen.append("done")


def test_a_reporter_hears_of_guessing_then_steps_then_samples() -> None:
    recorder = Recorder()
    short(reporter=recorder)
    text = "\n".join(recorder.seen)
    assert text.index("ln 27 = 3.296") < text.index("step 1") < text.index("step 4") < text.index("sample")
    assert recorder.seen.count("done") == 3


def test_a_one_file_pack_brings_an_activation(tmp_path: Path) -> None:
    source = """
from math import tanh
from microgpt_core.components import Unary

class Squash(Unary):
    def f(self, x): return tanh(x)
    def df(self, x): return 1.0 - tanh(x) ** 2
"""
    (tmp_path / "squash.py").write_text(source, encoding="utf-8")
    run = short(overrides={"model.activation": "squash"}, plugins=["squash.py"])
    assert "activation: squash" in (run.folder / "resolved.yaml").read_text(encoding="utf-8")
    assert mg.load(run.folder, plugins=["squash.py"]).logits([[1]]).shape == (1, 1, 27)
    with pytest.raises(mg.MicrogptError, match="squash"):
        mg.load(run.folder)


def test_a_run_that_has_no_model_yet_says_so(tmp_path: Path) -> None:
    run = short()
    (run.folder / "model" / "config.json").unlink()
    with pytest.raises(ConfigurationError, match="hasn't finished.*checkpoints"):
        model_folder(run.folder)


def test_a_model_names_the_pack_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("cubed.py").write_text(
        "from microgpt_core import Unary\n\nclass Cubed(Unary):\n    name = 'cubed'\n"
        "    def f(self, x): return x * x * x\n    def df(self, x): return 3.0 * x * x\n",
        encoding="utf-8",
    )
    run = short(overrides={"model.activation": "cubed"}, plugins=["cubed.py"])
    expected = r"was made with what isn't here: cubed\.py: --plugin cubed\.py \(unknown op 'cubed'"
    with pytest.raises(ConfigurationError, match=expected):
        mg.load(run.folder)
    assert mg.load(run.folder, plugins=["cubed.py"]).generate("a", seed=1)
    config = run.folder / "model" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("cubed.py", "microgpt-cubed 1.0"), encoding="utf-8")
    (run.folder / "model" / "manifest.json").unlink()
    with pytest.raises(ConfigurationError, match=r"microgpt-cubed 1\.0: microgpt plugins install microgpt-cubed"):
        mg.load(run.folder)


def test_names_that_fit_no_run() -> None:
    with pytest.raises(ConfigurationError, match="there is no run in .* yet"):
        find_run("latest")
    short()
    with pytest.raises(ConfigurationError, match=r"names-7: no such run or model folder; runs in .*: names-1$"):
        find_run("names-7")
    (Path("runs") / "names-x").mkdir()
    assert new_folder("names").name == "names-2"
