"""What `plugins new kernel` makes of every op: it passes the kit as it is."""

import sys
from importlib import resources
from types import ModuleType

import pytest

from microgpt_core.components import Backend, Kernel
from microgpt_core.ops import OPS
from microgpt_core.pipeline import builtin
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.scaffold import kernel_answers
from microgpt_core.testing.ops import kernel_checks

jinja2 = pytest.importorskip("jinja2")  # what `plugins new` makes packs with brings it

BACKEND = (
    "from microgpt_core.hookspecs import hookimpl\n"
    "from microgpt_core.components import Backend\nclass Other(Backend): name = 'other'\n"
    "@hookimpl\ndef microgpt_backends(): return {'other': Other}\n"
)
QUICK = ["layernorm", "rope", "swiglu", "embedding", "adamw_update"]  # none of them elementwise in one input


@pytest.fixture
def registry(install) -> Registry:
    install("other", BACKEND)
    return load(builtin, strict=True)


class Other(Backend):
    name = "other"


def kernel(op: str, registry: Registry, *, without: str = "") -> Kernel:
    """The template's kernel of an op; `without` is left out of its text."""
    template = resources.files("microgpt_core.plugins").joinpath("template", "kinds", "kernel.jinja")
    answers = {"name": f"other/{op}", "class_name": "Made"} | kernel_answers(f"other/{op}", registry)
    source = jinja2.Environment().from_string(template.read_text(encoding="utf-8")).render(answers)
    assert without in source
    module = sys.modules["made_kernel"] = ModuleType("made_kernel")
    exec(compile(source.replace(without, ""), "made_kernel.py", "exec"), module.__dict__)
    return module.Made()


def failed(kernel: Kernel, op: str) -> list[str]:
    """The checks that don't pass."""
    return [r.check for r in (check.run() for check in kernel_checks(kernel, OPS[op], Other())) if r.state != "passed"]


@pytest.mark.parametrize("op", [*QUICK, *(pytest.param(n, marks=pytest.mark.long) for n in OPS if n not in QUICK)])
def test_it_passes_the_kit_for_every_op(op: str, registry: Registry) -> None:
    assert failed(kernel(op, registry), op) == []


def test_it_would_not_if_it_took_large_calls(registry: Registry) -> None:
    greedy = kernel("relu", registry, without=" if sum(map(prod, shapes.values())) > MOST else None")
    greedy.supports = lambda shapes, formats: None
    assert failed(greedy, "relu") == ["allocates_nothing"]
