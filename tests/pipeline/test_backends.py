"""`backend:` and `kernels:` of a pipeline: who is asked for each op, in which order, and what a run says of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.runs.run import Run

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
Runs = Callable[..., tuple[Run, str]]
SHORT = {"train.max_steps": 2, "generate.num_samples": 1, "dataset.validation": 0.01}


@pytest.mark.parametrize("backend", ["auto", "loud/loud", ["loud/loud", "reference"]])
def test_a_backend_gets_what_it_has_kernels_for_and_the_rest_is_announced(run: Runs, backend: Any) -> None:
    made, text = run(backend=backend)
    assert "loud" in text.splitlines()[0]
    assert "reference" in text.splitlines()[0]
    assert "not run by loud: " in text
    assert "linear (14)" in text
    kernels = made.model.kernels
    assert [b.name for b in kernels.backends if b.name != "reference"] == ["loud"]
    reference, _ = run(backend="reference")
    assert made.samples == reference.samples


def test_the_reference_alone_announces_nothing(run: Runs) -> None:
    _, text = run(backend="reference")
    assert "not run by" not in text
    assert "loud" not in text


def test_a_backend_that_was_named_must_be_able_to_run(run: Runs) -> None:
    with pytest.raises(ConfigurationError, match="'absent' can't run on this machine: no such machine"):
        run(backend="loud/absent")


def test_a_backend_named_for_one_op_gets_that_op_alone(run: Runs) -> None:
    made, text = run(backend="reference", kernels={"relu2": "loud/loud"})
    assert "reference + loud" in text.splitlines()[0]
    assert "not run by" not in text  # nobody else was to run on it
    assert made.kernels.backends[0].name == "reference"


def test_an_op_forced_onto_a_backend_without_its_kernel_is_refused(run: Runs) -> None:
    with pytest.raises(ConfigurationError, match="linear.forward is forced onto a backend .* loud: has no kernel"):
        run(kernels={"linear": "loud/loud"})
    assert not Path("runs").exists()
