"""Two packs with a kernel of the same name: an error where it would be used, which says how to choose."""

import re
from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.plugins.selection import Without

BACKEND = """
from microgpt_core.components import Backend
from microgpt_core.hookspecs import hookimpl

class Fast(Backend):
    name = "fast"
    priority = 5

@hookimpl
def microgpt_backends():
    return {"fast": Fast}
"""
KERNEL = """
from microgpt_core.components import Kernel
from microgpt_core.hookspecs import hookimpl
from microgpt_core.ops import OPS

class Relu2(Kernel):
    by = "NAME"
    def forward(self, out, x):
        OPS["relu2"].forward(out, x)
    def backward(self, d_x, d_out, x):
        OPS["relu2"].backward(d_x, d_out, x)

@hookimpl
def microgpt_kernels():
    return {"fast/relu2": Relu2}
"""
SHORT = {"train.max_steps": 1, "dataset.validation": 0.01, "stages": ["train"]}


@pytest.fixture(autouse=True)
def three_packs(install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    install("fast", BACKEND)
    for name in ("one", "two"):
        install(name, KERNEL.replace("NAME", name))


def ran_by(plugins=(), **overrides) -> str:
    kernels = mg.run("names", SHORT | overrides, plugins=plugins).kernels
    return kernels.table["fast/relu2"].by


def test_it_is_an_error_with_both_places_and_the_ways_to_choose() -> None:
    with pytest.raises(ConfigurationError) as caught:
        mg.run("names", SHORT)
    said = re.sub(r"[^ ]*microgpt_(one|two)_(one|two).py", "FILE", str(caught.value))
    assert said == (
        "kernel 'fast/relu2' is brought by several packs; write which, as `kernels: {relu2: one/fast/relu2}`: "
        "one/fast/relu2 (microgpt-one 1.0, FILE), two/fast/relu2 (microgpt-two 1.0, FILE); or leave one out: "
        "--no-plugin two"
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", ["one", "two"])
def test_both_ways_to_choose_work(name: str) -> None:
    other = {"one": "two", "two": "one"}[name]
    assert ran_by([Without(other)]) == name
    assert ran_by(kernels={"relu2": f"{name}/fast/relu2"}) == name
    assert ran_by(kernels={"relu2": f"{name}/fast/relu2@1"}) == name


@pytest.mark.parametrize(
    "overrides", [{"backend": "reference"}, {"model.activation": "relu"}, {"kernels": {"relu2": "reference"}}]
)
def test_where_no_call_would_run_on_it_nobody_has_to_choose(overrides: dict) -> None:
    assert mg.run("names", SHORT | overrides).result.steps == 1


@pytest.mark.parametrize(
    ("kernels", "said"),
    [
        ({"relu2": "tow/fast/relu2"}, r"unknown kernel 'tow/fast/relu2' \(did you mean 'two/fast/relu2'"),
        ({"relu2": "fast/relu2"}, "unknown backend 'fast/relu2'"),
        ({"relu": "two/fast/relu2"}, "'two/fast/relu2' is a kernel of the op 'relu2'"),
        ({"relu2": "two/fast/relu2@2"}, "microgpt-two 1.0 is installed"),
    ],
)
def test_what_is_no_choice_is_said_before_anything_runs(kernels: dict, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        mg.run("names", SHORT | {"kernels": kernels})


def test_what_was_chosen_is_chosen_again_by_the_resolved_pipeline() -> None:
    run = mg.run("names", SHORT | {"kernels": {"relu2": "two/fast/relu2"}})
    again = mg.run(run.folder / "resolved.yaml", output="again")
    assert again.kernels.table["fast/relu2"].by == "two"
