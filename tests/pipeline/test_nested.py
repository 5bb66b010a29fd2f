"""Components within components: a field that holds one, or a list of them, is read like a section."""

import json
from pathlib import Path
from typing import Any

import pytest

from microgpt_core.components import Dataset, Optimizer, Schedule
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.json_schema import pipeline_schema
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import Pipeline, to_dict
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.plugins.kinds import held
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry

PACK = '''
"""A dataset that joins others, and an optimizer around another one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from microgpt_core.components import Dataset, Optimizer, Schedule
from microgpt_core.errors import ConfigurationError
from microgpt_core.hookspecs import hookimpl
from microgpt_core.training.optimizers import AdamW


@dataclass
class Both(Dataset):
    """Several datasets, one after the other.

    Fields:
        datasets: which
        weights: how much of each
    """

    name: ClassVar[str] = "both"
    datasets: list[Dataset]
    weights: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.weights and len(self.weights) != len(self.datasets):
            raise ConfigurationError(f"weights: found {len(self.weights)}, allowed: one for each of datasets")

    def documents(self, split: str) -> Iterator[str]:
        for dataset in self.datasets:
            yield from dataset.documents(split)


@dataclass
class Around(Optimizer):
    """Another optimizer.

    Fields:
        optimizer: which
    """

    name: ClassVar[str] = "around"
    optimizer: Optimizer = field(default_factory=AdamW)
    then: Schedule | None = None


@hookimpl
def microgpt_datasets():
    return {"both": Both}


@hookimpl
def microgpt_optimizers():
    return {"around": Around}
'''


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    file = tmp_path_factory.mktemp("pack") / "nesting.py"
    file.write_text(PACK, encoding="utf-8", newline="\n")
    return load(builtin, [str(file)])


def read(text: str, registry: Registry, folder: Path, *overrides: str) -> Pipeline:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8", newline="\n")
    return read_pipeline(file, registry, overrides)


BOTH = "dataset: {use: both, datasets: [names, {use: text, path: a.txt}], weights: [2, 1]}"


def test_a_field_holds_components_that_are_made_with_it(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("long\n\nenough", encoding="utf-8", newline="\n")
    dataset = read(BOTH, registry, tmp_path).dataset.build()
    assert [one.name for one in dataset.datasets] == ["names", "text"]
    assert dataset.weights == [2.0, 1.0]
    assert "long\n\neno" in list(dataset.documents("train"))[-1]  # relative to the pipeline's file, at any depth


@pytest.mark.parametrize(
    "text",
    [
        BOTH,
        "dataset: {use: both, datasets: [{use: both, datasets: [names]}, names]}",
        "optimizer: {use: around, optimizer: {use: sgd, lr: 0.5}, then: linear}",
        "optimizer: {use: around}",
        "optimizer: {use: around, optimizer: {lr: 0.5}, then: null}",
    ],
)
def test_what_is_recorded_reads_back_as_the_same(text: str, registry: Registry, tmp_path: Path) -> None:
    written = write_yaml(to_dict(read(text, registry, tmp_path)))
    (tmp_path / "elsewhere").mkdir()
    assert to_dict(read(written, registry, tmp_path / "elsewhere")) == to_dict(read(text, registry, tmp_path))
    assert "use: around" not in text or "weight_decay" in written or "momentum" in written  # defaults are written out


def test_without_use_it_is_what_the_section_would_be(registry: Registry, tmp_path: Path) -> None:
    around = read("optimizer: {use: around, optimizer: {lr: 0.5}}", registry, tmp_path).optimizer.build()
    assert (around.optimizer.name, around.optimizer.lr, around.then) == ("adamw", 0.5, None)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("dataset: {use: both}", 1, 1, "dataset: 'nesting/both' needs 'datasets'"),
        ("dataset: {use: both, datasets: names}", 1, 32, "datasets: expected a list of datasets, found 'names'"),
        ("dataset: {use: both, datasets: [nmaes]}", 1, 33, "dataset.datasets[0].use: unknown dataset 'nmaes' (did you"),
        ("dataset:\n  use: both\n  datasets:\n    - 3", 4, 7, "datasets[0]: expected a component's name, or a mapping"),
        ("dataset: {use: both, datasets: [{split_sed: 3}]}", 1, 34, "datasets[0].split_sed: unknown key (did you"),
        ("dataset: {use: both, datasets: [{use: text}]}", 1, 33, "dataset.datasets[0]: 'text' needs 'path'"),
        ("dataset: {use: both, datasets: [{validation: 0.9}]}", 1, 46, "datasets[0].validation: found 0.9, allowed: 0"),
        ("dataset: {use: both, datasets: [{validation: 1x}]}", 1, 46, "validation: expected a number, found '1x'"),
        ("dataset: {use: both, datasets: [names], weights: [1, 2]}", 1, 50, "dataset.weights: found 2, allowed: one"),
        ("optimizer: {use: around, optimizer: [adamw]}", 1, 37, "expected a component's name, or a mapping, found a"),
        ("optimizer: {use: around, optimizer: adamv}", 1, 37, "optimizer.optimizer.use: unknown optimizer 'adamv'"),
        ("optimizer: {use: around, optimizer: {use: sgd, betas: [1, 2]}}", 1, 48, "adam and adamw would take it"),
        ("optimizer: {use: around, then: {use: cosine, lr: 1}}", 1, 46, "it goes under `optimizer:`"),
    ],
)
def test_what_is_wrong_inside_is_said_at_its_place(
    text: str, line: int, column: int, message: str, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(PipelineError) as caught:
        read(text, registry, tmp_path)
    assert [(p.place.line, p.place.column) for p in caught.value.problems] == [(line, column)]
    assert message in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("dataset.datasets=[names]", [{"use": "names"}]),
        ("dataset.datasets.0.validation=0.5", [{"use": "names", "validation": 0.5}, {"use": "text"}]),
        ("dataset.datasets.1=names", [{"use": "names"}, {"use": "names"}]),
    ],
)
def test_the_command_line_reaches_inside(
    override: str, expected: list[dict[str, Any]], registry: Registry, tmp_path: Path
) -> None:
    text = BOTH.replace(", weights: [2, 1]", "")
    found = to_dict(read(text, registry, tmp_path, override))["dataset"]["datasets"]
    assert [{key: one[key] for key in wanted} for one, wanted in zip(found, expected, strict=True)] == expected


def test_an_item_that_there_isnt_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="there is no item 2: 2 are listed, the first is 0"):
        read(BOTH, registry, tmp_path, "dataset.datasets.2.path=b.txt")


def test_a_path_on_the_command_line_starts_in_the_current_folder(registry: Registry, tmp_path: Path) -> None:
    made = read(BOTH, registry, tmp_path, "dataset.datasets.1.path=b.txt").dataset
    assert to_dict_of(made)["datasets"][1]["path"] == str(Path.cwd() / "b.txt")
    unchanged = to_dict_of(read(BOTH, registry, tmp_path).dataset)
    assert unchanged["datasets"][1]["path"] == str(tmp_path / "a.txt")


def to_dict_of(component: Any) -> dict[str, Any]:
    return component.to_dict()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ("{optimizer: {lr: 0.25}}", {"use": "sgd", "lr": 0.25, "momentum": 0.5}),
        ("{optimizer: {use: sgd, lr: 0.25}}", {"use": "sgd", "lr": 0.25, "momentum": 0.5}),
        ("{optimizer: {use: adamw, lr: 0.25}}", {"use": "adamw", "lr": 0.25}),
        ("{optimizer: adamw}", {"use": "adamw"}),
    ],
)
def test_a_file_is_laid_over_another_at_any_depth(
    above: str, expected: dict[str, Any], registry: Registry, tmp_path: Path
) -> None:
    base = "optimizer: {use: around, optimizer: {use: sgd, lr: 0.5, momentum: 0.5}}"
    (tmp_path / "base.yaml").write_text(base, encoding="utf-8", newline="\n")
    found = to_dict(read(f"extends: base.yaml\noptimizer: {above}", registry, tmp_path))["optimizer"]["optimizer"]
    assert {key: found[key] for key in expected} == expected
    assert ("momentum" in found) == ("momentum" in expected)


def test_editors_are_told(registry: Registry) -> None:
    schema = pipeline_schema(registry)
    text = json.dumps(schema)
    assert '"datasets": {"type": "array", "items": {"$ref": "#/properties/dataset"}' in text
    assert '"optimizer": {"$ref": "#/properties/optimizer"' in text
    assert '"then": {"anyOf": [{"$ref": "#/properties/schedule"}, {"type": "null"}]' in text


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (Dataset, "a dataset"),
        (list[Optimizer], "a list of optimizers"),
        (Schedule | None, "a schedule or null"),
        (str, "None"),
        (str | Dataset, "None"),
        (list[int], "None"),
        (list[int] | None, "None"),
    ],
)
def test_which_types_hold_components(annotation: Any, said: str) -> None:
    assert str(held(annotation)) == said
