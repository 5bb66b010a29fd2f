"""The JSON Schema: every pipeline that the reader takes is valid, and no mistake that types and names can tell is."""

import json
from pathlib import Path
from typing import Any

import pytest

from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.json_schema import pipeline_schema
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import to_dict
from microgpt_core.pipeline.reading.source import packaged
from microgpt_core.pipeline.reading.yaml_reader import read_yaml
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry

jsonschema = pytest.importorskip("jsonschema")
EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "docs" / "examples").glob("*.yaml"))
NEED_A_PACK = ("numpy", "watch")  # these name what the core hasn't got
ODD = """
from dataclasses import dataclass
from typing import Literal
from microgpt_core.components import Op, Schedule, Unary

class Bent(Unary):
    def f(self, x): return x
    def df(self, x): return 1.0

@dataclass(kw_only=True)
class Odd(Schedule):
    \"\"\"A schedule.

    Fields:
        shape: how it bends
    \"\"\"
    name = "odd"
    shape: Literal["round", "flat"]
    at: list[int] | None = None
    op: str | Op = "relu"
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    file = tmp_path_factory.mktemp("packs") / "odd.py"
    file.write_text(ODD, encoding="utf-8")
    return load(builtin, [file])


@pytest.fixture(scope="module")
def validator(registry: Registry) -> Any:
    schema = json.loads(json.dumps(pipeline_schema(registry)))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("file", [*packaged().values(), *EXAMPLES], ids=lambda file: Path(file.name).stem)
def test_packaged_pipelines_and_examples_are_valid(file: Any, validator: Any) -> None:
    data = read_yaml(file.read_text(encoding="utf-8"), file.name).data
    assert validator.is_valid(data) != (Path(file.name).stem in NEED_A_PACK)


@pytest.mark.parametrize("name", packaged())
def test_with_every_default_written_out_they_are_too(name: str, registry: Registry, validator: Any) -> None:
    assert list(validator.iter_errors(to_dict(read_pipeline(name, registry)))) == []


RIGHT = [
    "", "{}", "train:", "tokenizer: char", "tokenizer: core/char@0", "optimizer: {lr: 1}", "optimizer: {momentum: 0.9}",
    "optimizer: {use: sgd, momentum: 0.9}", "backend: auto", "backend: [reference]", "kernels: {linear: reference}",
    "model: {preset: gpt2, n_layer: 2}", "model: {activation: swiglu}", "model: {activation: bent}", "stages: [train]",
    "model: {activation: odd/bent}", "schedule: {use: odd, shape: round}", "schedule: {use: odd, shape: flat, at: [1]}",
    "extends: base.yaml", "dataset: {use: text, path: [a, b]}", "init_from: null", "analyzers: []",
    "train: {minutes: 3, max_steps: null}", "export: {format: [json, python]}", "export: {format: json}",
    "export: json", "export: [json, python]",
]  # fmt: skip
WRONG = [
    "modle: gpt", "model: {n_layr: 2}", "tokenizer: cahr", "tokenizer: {use: cahr}", "tokenizer: numpy/char",
    "optimizer: {use: sgd, weight_decay: 0.1}", "optimizer: {lr: fast}", "train: {max_steps: '5'}", "train: [1]",
    "train: {batching: packd}", "backend: refrence", "backend: [3]", "kernels: {liner: reference}", "stages: train",
    "kernels: {linear: simd}", "stages: [evalute]", "model: {preset: gpt3}", "model: {activation: rope}",
    "model: {activation: 3}", "model: 3", "schedule: {use: odd}", "schedule: {use: odd, shape: square}", "seed: abc",
    "dataset: {use: text}", "model: {vocab_size: 5}", "microgpt: 2", "precision: float16", "extends: 3", "- a",
    "analyzers: [x]", "optimizer: {betas: [0.9]}", "optimizer: {betas: [0.9, x]}", "model: {n_layer: 1.5}",
    "export: {format: jsn}", "export: jsn", "export: [jsn]", "export: 3",
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_valid(text: str, validator: Any) -> None:
    assert list(validator.iter_errors(read_yaml(text, "t.yaml").data)) == []


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_is_not(text: str, validator: Any) -> None:
    assert not validator.is_valid(read_yaml(text, "t.yaml").data)


def test_editors_are_told_what_a_field_means_and_what_it_is_without(registry: Registry) -> None:
    schema = pipeline_schema(registry)
    steps = schema["properties"]["train"]["properties"]["max_steps"]
    assert (steps["default"], steps["description"][:13]) == (None, "steps to make")
    assert "null: documents" in schema["properties"]["train"]["properties"]["batching"]["description"]
    assert schema["properties"]["seed"]["default"] == 1337
    text = json.dumps(schema)
    for word in ("how it bends", "learning rate", "sizes of a known model", "attention heads in each block"):
        assert word in text
