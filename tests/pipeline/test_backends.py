"""`backend:` and `kernels:` of a pipeline: who is asked for each op, in which order, and what a run says of it."""

from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.runs.run import Reporter, Run

PACK = """
from microgpt_core.components import Backend, Kernel
from microgpt_core.hookspecs import hookimpl
from microgpt_core.ops import OPS

class Loud(Backend):
    name = "loud"
    priority = 5

class Absent(Backend):
    name = "absent"
    priority = 9

    def unavailable(self):
        return "no such machine"

class _Relu2(Kernel):
    def forward(self, out, x):
        OPS["relu2"].forward(out, x)

    def backward(self, d_x, d_out, x):
        OPS["relu2"].backward(d_x, d_out, x)

@hookimpl
def microgpt_kernels():
    return {"loud/relu2": _Relu2}
"""
SHORT = {"train.max_steps": 2, "generate.num_samples": 1, "dataset.validation": 0.01}


class Headlines(Reporter):
    def __init__(self) -> None:
        self.text = ""

    def headline(self, text: str) -> None:
        self.text += f"{text}\n"


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "loud.py"
    file.write_text(PACK, encoding="utf-8")
    return file


def run(pack: Path, **overrides: Any) -> tuple[Run, str]:
    headlines = Headlines()
    made = mg.run("names", SHORT | overrides, plugins=[pack], reporter=headlines)
    return made, headlines.text


@pytest.mark.parametrize("backend", ["auto", "loud/loud", ["loud/loud", "reference"]])
def test_a_backend_gets_what_it_has_kernels_for_and_the_rest_is_announced(pack: Path, backend: Any) -> None:
    made, text = run(pack, backend=backend)
    assert "loud" in text.splitlines()[0]
    assert "reference" in text.splitlines()[0]
    assert "not run by loud: " in text
    assert "linear (14)" in text
    kernels = made.model.kernels
    assert [b.name for b in kernels.backends if b.name != "reference"] == ["loud"]
    reference, _ = run(pack, backend="reference")
    assert made.samples == reference.samples


def test_the_reference_alone_announces_nothing(pack: Path) -> None:
    _, text = run(pack, backend="reference")
    assert "not run by" not in text
    assert "loud" not in text


def test_a_backend_that_was_named_must_be_able_to_run(pack: Path) -> None:
    with pytest.raises(ConfigurationError, match="'absent' can't run on this machine: no such machine"):
        run(pack, backend="loud/absent")


def test_a_backend_named_for_one_op_gets_that_op_alone(pack: Path) -> None:
    made, text = run(pack, backend="reference", kernels={"relu2": "loud/loud"})
    assert "reference + loud" in text.splitlines()[0]
    assert "not run by" not in text  # nobody else was to run on it
    assert made.kernels.backends[0].name == "reference"


def test_an_op_forced_onto_a_backend_without_its_kernel_is_refused(pack: Path) -> None:
    with pytest.raises(ConfigurationError, match="linear.forward is forced onto a backend .* loud: has no kernel"):
        run(pack, kernels={"linear": "loud/loud"})
    assert not Path("runs").exists()
