"""`extends`: what is merged and what is replaced, whose place a problem has, and what can't extend."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.extends import MOST_FILES
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import to_dict
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(builtin)


@pytest.fixture
def files(tmp_path: Path) -> Write:
    """`files(base="...", mine="...")` writes base.yaml and mine.yaml; the last is returned."""

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name}.yaml"
            path.write_text(text, encoding="utf-8", newline="\n")
        return path

    return write


def value(found: Any, path: str) -> Any:
    for step in path.split("."):
        found = found.get(step, "nothing") if isinstance(found, dict) else found
    return found


BASE = (
    "seed: 7\nbackend: [reference]\ntokenizer: char\nmodel: {n_layer: 2, n_embd: 32}\n"
    "optimizer: {use: adamw, lr: 0.5, weight_decay: 0.2}\ntrain: {max_steps: 5, batch_size: 3}\n"
    "generate: {prompts: [a, b, c]}\nkernels: {linear: reference}\n"
)


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ("", {"seed": 7, "model.n_layer": 2, "optimizer.lr": 0.5, "train.batch_size": 3}),
        ("seed: 8", {"seed": 8, "model.n_layer": 2}),
        ("model: {n_layer: 4}", {"model.n_layer": 4, "model.n_embd": 32}),
        ("train: {max_steps: 9}", {"train.max_steps": 9, "train.batch_size": 3}),
        ("train:", {"train.max_steps": 1000, "train.batch_size": 8}),  # nothing, so nothing of the base's either
        ("generate: {prompts: [x]}", {"generate.prompts": ["x"]}),
        ("kernels: {add: reference}", {"kernels.add": "reference", "kernels.linear": "reference"}),
        ("tokenizer: {add_bos: false}", {"tokenizer.use": "char", "tokenizer.add_bos": False}),
        ("optimizer: {lr: 0.1}", {"optimizer.use": "adamw", "optimizer.lr": 0.1, "optimizer.weight_decay": 0.2}),
        ("optimizer: adamw", {"optimizer.lr": 0.5}),
        ("optimizer: {use: sgd, lr: 0.1}", {"optimizer.use": "sgd", "optimizer.weight_decay": "nothing"}),
        ("optimizer: sgd", {"optimizer.use": "sgd", "optimizer.momentum": 0.0}),
        ("model: {preset: llama-tiny}", {"model.n_embd": 64, "model.n_layer": 4}),
    ],
)  # fmt: skip
def test_what_is_merged_and_what_is_replaced(
    above: str, expected: dict[str, Any], registry: Registry, files: Write
) -> None:
    found = to_dict(read_pipeline(files(base=BASE, mine=f"extends: base.yaml\n{above}\n"), registry))
    assert {path: value(found, path) for path in expected} == expected


def test_a_preset_in_the_base_is_changed_by_what_is_laid_over_it(registry: Registry, files: Write) -> None:
    mine = files(base="model: {preset: llama-tiny}", mine="extends: base.yaml\nmodel: {n_layer: 2}")
    fields = read_pipeline(mine, registry).model.fields
    assert (fields["n_layer"], fields["n_embd"], fields["position"]) == (2, 64, "rope")


def test_a_packaged_pipeline_can_be_extended_and_the_run_has_its_own_name(registry: Registry, files: Write) -> None:
    pipeline = read_pipeline(files(names="extends: names\nseed: 5"), registry, ["model.n_layer=3"])
    assert (pipeline.name, pipeline.seed, pipeline.optimizer.fields["lr"]) == ("names", 5, 2.0e-2)
    assert pipeline.model.fields["n_layer"] == 3  # the command line goes before them all
    assert read_pipeline(files(mine="extends: names"), registry).name == "mine"


def test_files_extend_each_other_in_a_row(registry: Registry, files: Write) -> None:
    mine = files(
        a="seed: 1\nmodel: {n_layer: 3, n_embd: 32}",
        b="extends: a.yaml\nseed: 2",
        mine="extends: b.yaml\nmodel: {n_embd: 64}",
    )
    pipeline = read_pipeline(mine, registry)
    assert (pipeline.seed, pipeline.model.fields) == (2, {"n_layer": 3, "n_embd": 64})


def test_paths_start_from_the_file_that_they_stand_in(registry: Registry, tmp_path: Path) -> None:
    base = tmp_path / "there" / "base.yaml"
    base.parent.mkdir()
    base.write_text("dataset: {use: text, path: a.txt}\n", encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: there/base.yaml\n", encoding="utf-8")
    assert to_dict(read_pipeline(mine, registry))["dataset"]["path"] == str(tmp_path / "there" / "a.txt")
    mine.write_text("extends: there/base.yaml\ndataset: {path: b.txt}\n", encoding="utf-8")
    assert to_dict(read_pipeline(mine, registry))["dataset"]["path"] == str(tmp_path / "b.txt")


@pytest.mark.parametrize(
    ("texts", "places"),
    [
        # in the base, in the file, and in both
        ({"base": "seed: x", "mine": "extends: base.yaml"}, ["base.yaml:1:7: seed: expected an integer"]),
        (
            {"base": "train: {max_step: 1}", "mine": "extends: base.yaml\ntrain: {batch_size: 0}"},
            ["base.yaml:1:9: train.max_step: unknown key", "mine.yaml:2:21: train.batch_size: found 0"],
        ),
        # what holds between a value of each is said where the file that was run has its part
        ({"base": "model: {n_head: 4}", "mine": "extends: base.yaml\nmodel: {n_embd: 18}"}, ["mine.yaml:2:17: "]),
        # a value that is replaced is no problem any more
        ({"base": "seed: x\noptimizer: {momentm: 1}", "mine": "extends: base.yaml\nseed: 1\noptimizer: sgd"}, []),
        ({"base": "a: [", "mine": "extends: base.yaml"}, ["base.yaml:1:5: a value is missing here"]),
        ({"base": "- a", "mine": "extends: base.yaml"}, ["base.yaml:1:1: expected a pipeline's keys"]),
        ({"base": "seed: 1\nseed: 2", "mine": "extends: base.yaml"}, ["base.yaml:2:1: 'seed' is here twice"]),
        # what can't extend
        ({"mine": "seed: 1\nextends: mine.yaml"}, ["mine.yaml:2:10: extends: a file can't extend itself: mine.yaml"]),
        (
            {"a": "extends: mine.yaml", "mine": "extends: a.yaml"},
            ["a.yaml:1:10: extends: a file can't extend itself: mine.yaml extends a.yaml extends mine.yaml"],
        ),
        ({"mine": "extends: nowhere.yaml"}, ["mine.yaml:1:10: extends: "]),
        ({"mine": "extends: [a, b]"}, ["mine.yaml:1:10: extends: expected a file, or a packaged pipeline's name"]),
        ({"mine": "extends:"}, ["extends: expected a file, or a packaged pipeline's name, found nothing"]),
        ({"mine": "model: {extends: names}"}, ["mine.yaml:1:9: model.extends: this can only stand in a file"]),
        ({"mine": "extend: names"}, ["mine.yaml:1:1: extend: unknown key (did you mean 'extends'?)"]),
    ],
)  # fmt: skip
def test_a_problem_is_said_in_the_file_that_it_stands_in(
    texts: dict[str, str], places: list[str], registry: Registry, files: Write
) -> None:
    path = files(**texts)
    if not places:
        read_pipeline(path, registry)
        return
    with pytest.raises(PipelineError) as caught:
        read_pipeline(path, registry)
    found = [f"{problem.place}: {problem.message}" for problem in caught.value.problems]
    assert len(found) == len(places)
    for said, expected in zip(found, places):
        assert expected in said


def test_a_missing_base_has_its_near_name(registry: Registry, files: Write) -> None:
    with pytest.raises(PipelineError, match=r"there is no such file \(did you mean 'base.yaml'\?\)"):
        read_pipeline(files(base="", mine="extends: bas.yaml"), registry)


def test_a_row_that_is_too_long_is_refused(registry: Registry, files: Write) -> None:
    row = {f"f{i}": f"extends: f{i + 1}.yaml" for i in range(MOST_FILES)}
    first = files(**row, **{f"f{MOST_FILES}": ""}).with_name("f0.yaml")
    with pytest.raises(PipelineError, match=rf"f{MOST_FILES - 1}.yaml:1:10: extends: at most {MOST_FILES} files"):
        read_pipeline(first, registry)
    read_pipeline(first.with_name("f1.yaml"), registry)


def test_extends_can_not_be_set(registry: Registry) -> None:
    with pytest.raises(PipelineError, match="--set: extends: this can only stand in a file"):
        read_pipeline("names", registry, ["extends=microgpt"])


def test_a_run_keeps_the_file_as_given_and_a_resolved_one_that_needs_no_base(
    files: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "extends: base.yaml\nmodel: {n_layer: 2}\nstages: [train]\n"
    mine = files(base="dataset: {use: names, validation: 0.01}\ntrain: {max_steps: 1, eval_interval: 0}", mine=text)
    run = mg.run(mine)
    assert (run.folder / "pipeline.yaml").read_text(encoding="utf-8") == text
    (tmp_path / "base.yaml").unlink()
    resolved = run.folder / "resolved.yaml"
    assert "extends" not in resolved.read_text(encoding="utf-8")
    assert mg.resume(run.folder, {"train.max_steps": 2}).result.steps == 2
