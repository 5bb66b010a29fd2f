"""Reading a good pipeline: defaults, short forms, presets, overrides, paths; and what is recorded reads back."""

from pathlib import Path
from typing import Any

import pytest

from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.generate_settings import GenerateSettings
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import Pipeline, to_dict
from microgpt_core.pipeline.reading.source import packaged
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry
from microgpt_core.training.settings import TrainSettings

MISH = """
from microgpt_core.components import Unary

class Mish(Unary):
    def f(self, x): return x
    def df(self, x): return 1.0
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(builtin)


def read(text: str, registry: Registry, folder: Path, *overrides: str) -> Pipeline:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8", newline="\n")
    return read_pipeline(file, registry, overrides)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "train:\ngenerate:\n"])
def test_everything_has_a_default(text: str, registry: Registry, tmp_path: Path) -> None:
    pipeline = read(text, registry, tmp_path)
    assert (pipeline.name, pipeline.seed, pipeline.backend, pipeline.precision) == ("mine", 1337, "auto", "float32")
    components = [pipeline.dataset, pipeline.tokenizer, pipeline.model, pipeline.optimizer, pipeline.schedule]
    assert [c.name for c in components] == ["names", "char", "gpt", "adamw", "cosine"]
    assert (pipeline.train, pipeline.generate) == (TrainSettings(), GenerateSettings())
    assert pipeline.stages == ["train", "evaluate", "generate"]
    assert pipeline.text == text


def test_the_short_form_is_the_long_one(registry: Registry, tmp_path: Path) -> None:
    short, long = (read(t, registry, tmp_path) for t in ("schedule: linear", "schedule: {use: linear}"))
    assert short.schedule == long.schedule
    assert short.schedule.build() == short.schedule.cls()


def test_values_come_in_the_types_of_the_fields(registry: Registry, tmp_path: Path) -> None:
    pipeline = read("optimizer: {use: adam, lr: 1, betas: [0, 0.5]}\ntrain: {minutes: 3e-1}", registry, tmp_path)
    assert pipeline.optimizer.fields == {"lr": 1.0, "betas": (0.0, 0.5)}
    assert type(pipeline.optimizer.fields["lr"]) is float
    assert pipeline.train.minutes == 0.3
    assert pipeline.optimizer.build().betas == (0.0, 0.5)


def test_a_preset_fills_in_what_the_section_does_not_say(registry: Registry, tmp_path: Path) -> None:
    pipeline = read("model: {preset: microgpt, n_layer: 3}", registry, tmp_path)
    assert pipeline.model.fields == PRESETS["microgpt"].fields | {"n_layer": 3}


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("export: json", "json"),
        ("export: [python, json]", ["python", "json"]),
        ("export: {format: json}", "json"),
        ("export: {}", "python"),
    ],
)
def test_formats_have_a_short_form_too(text: str, formats: str | list[str], registry: Registry, tmp_path: Path) -> None:
    assert read(text, registry, tmp_path).export.format == formats
    assert read(text, registry, tmp_path, "export.format=safetensors").export.format == "safetensors"
    assert read("export: {format: json}", registry, tmp_path, text.replace(": ", "=", 1)).export.format == formats


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=7", "seed", 7),
        ("model.n_layer=4", "model.n_layer", 4),
        ("optimizer.lr=3e-4", "optimizer.lr", 3e-4),
        ("optimizer.betas=[0.8, 0.9]", "optimizer.betas", [0.8, 0.9]),
        ("train.grad_clip=null", "train.grad_clip", None),
        ("train.grad_clip=", "train.grad_clip", None),
        ("tokenizer=char", "tokenizer.use", "char"),
        ("tokenizer.add_bos=false", "tokenizer.add_bos", False),
        ("schedule={use: linear, warmup_steps: 3}", "schedule.warmup_steps", 3),
        ("optimizer=sgd", "optimizer.use", "sgd"),
        ("model.activation=relu", "model.activation", "relu"),
        ('generate.prompts=["a=b"]', "generate.prompts", ["a=b"]),
        ("name=x", "name", "x"),
    ],
)
def test_overrides(override: str, path: str, value: Any, registry: Registry, tmp_path: Path) -> None:
    text = "tokenizer: char\noptimizer: {use: adamw, weight_decay: 0.2}\n"
    found: Any = to_dict(read(text, registry, tmp_path, override))
    for step in path.split("."):
        found = found[step]
    assert found == value


def test_overrides_from_python(registry: Registry) -> None:
    pipeline = read_pipeline("names", registry, {"model.n_layer": 2, "optimizer.betas": (0.5, 0.6)})
    assert pipeline.model.fields["n_layer"] == 2
    assert pipeline.optimizer.fields["betas"] == (0.5, 0.6)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.n_layer", "--set: expected KEY=VALUE, for example model.n_layer=4\n      | model.n_layer\n"),
        ("=4", "expected KEY=VALUE"),
        ("model..n=4", "expected KEY=VALUE"),
        ("model.n_layr=4", "(did you mean 'n_layer'?)"),
        (
            "model.n_layer=x",
            "model.n_layer: expected an integer, found 'x'\n      | model.n_layer=x\n      |               ^",
        ),
        ("model.n_layer=[1", "isn't closed"),
        ("train.max_steps.x=1", "train.max_steps: expected an integer, found a mapping"),
        ("seed=!!int 3", "tag"),
    ],
)
def test_a_bad_override_is_said_with_its_place(override: str, said: str, registry: Registry) -> None:
    with pytest.raises(PipelineError) as caught:
        read_pipeline("names", registry, [override])
    assert said in str(caught.value)


def test_a_one_file_op_fills_a_slot(tmp_path: Path) -> None:
    file = tmp_path / "mish.py"
    file.write_text(MISH, encoding="utf-8")
    pipeline = read_pipeline("names", load(builtin, [file]), ["model.activation=mish"])
    assert pipeline.model.build(vocab_size=27).activation.name == "mish"
    assert to_dict(pipeline)["model"]["activation"] == "mish"


def test_relative_paths_start_from_the_file(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("hello\n" * 20, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "texts")
    pipeline = read("dataset: {use: text, path: texts/a.txt}", registry, tmp_path)
    assert list(pipeline.dataset.build().documents("train"))
    resolved = to_dict(pipeline)["dataset"]["path"]
    assert Path(resolved) == tmp_path / "texts" / "a.txt"
    for override in ("dataset.path=a.txt", "dataset={use: text, path: [a.txt]}"):  # typed here, so from here
        typed = read("dataset: {use: text, path: texts/a.txt}", registry, tmp_path, override)
        assert list(typed.dataset.build().documents("train"))


@pytest.mark.parametrize("name", packaged())
def test_the_pipelines_in_the_package_are_right_and_read_back(name: str, registry: Registry, tmp_path: Path) -> None:
    pipeline = read_pipeline(name, registry)
    assert pipeline.name == name
    resolved = to_dict(pipeline)
    again = read(write_yaml(resolved), registry, tmp_path)
    assert to_dict(again) == resolved
    assert None not in (pipeline.dataset.build(), pipeline.tokenizer.build(), pipeline.optimizer.build())
    assert pipeline.model.build(vocab_size=27).vocab_size == 27


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        (
            "nmaes",
            UnknownNameError,
            r"unknown pipeline 'nmaes' \(did you mean 'names'\?\); known: microgpt, names, shakespeare",
        ),
        ("./there.yaml", ConfigurationError, r"there is no such file \(did you mean 'theirs.yaml'\?\)"),
        ("no/such", ConfigurationError, "there is no such file"),
    ],
)
def test_a_pipeline_that_is_not_there(
    source: str, error: type[Exception], said: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("theirs.yaml").touch()
    with pytest.raises(error, match=said):
        read_pipeline(source, registry)


def test_a_component_that_complains_about_none_of_its_fields_is_blamed_whole(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "from microgpt_core.components import Schedule\n\n"
        "@dataclass\n"
        "class Odd(Schedule):\n"
        "    name = 'odd'\n"
        "    def __post_init__(self): raise ValueError('not on Mondays')\n",
        encoding="utf-8",
    )
    with pytest.raises(PipelineError, match=r"--set: schedule: not on Mondays"):
        read_pipeline("names", load(builtin, [file]), ["schedule={use: odd, warmup_steps: 3}"])


def test_a_default_in_the_place_of_a_mistake_is_not_blamed(tmp_path: Path) -> None:
    """One mistake is one problem, also where the component wants one of two fields."""
    file = tmp_path / "bounded.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "from microgpt_core.components import Schedule\n\n"
        "@dataclass\n"
        "class Bounded(Schedule):\n"
        "    name = 'bounded'\n"
        "    low: int | None = None\n"
        "    high: int | None = None\n\n"
        "    def __post_init__(self):\n"
        "        if self.low is None and self.high is None: raise ValueError('low: neither this nor `high` is given')\n"
        "        if self.high and self.high < 0: raise ValueError('high: found a negative number')\n",
        encoding="utf-8",
    )
    with pytest.raises(PipelineError) as caught:
        read_pipeline("names", load(builtin, [file]), ["schedule={use: bounded, high: -1}"])
    assert [problem.message for problem in caught.value.problems] == ["schedule.high: found a negative number"]
    with pytest.raises(PipelineError, match="low: neither this nor `high` is given"):
        read_pipeline("names", load(builtin, [file]), ["schedule={use: bounded}"])
