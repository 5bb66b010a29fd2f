"""`test_pack` and `pack_tests`: what a pack's author and its users see, of good packs and of broken ones."""

import json
import os
import re
import subprocess
import sys
import unittest
from importlib import metadata
from pathlib import Path

import pytest

from microgpt_core.errors import UnknownNameError
from microgpt_core.plugins.pack import PluginError
from microgpt_core.testing import conformance, pack_tests
from microgpt_core.testing.components import RULES as COMPONENT_RULES
from microgpt_core.testing.packs import IMPORT_LIMIT, RULES as PACK_RULES

MISH = '''"""Mish: x tanh(ln(1 + e^x)). Misra 2019, arXiv:1908.08681."""
import math
import microgpt_core as mg


class Mish(mg.Unary):
    def f(self, x):
        return x * math.tanh(math.log1p(mg.exp(x)))
    def df(self, x):
        t, s = math.tanh(math.log1p(mg.exp(x))), 1 / (1 + mg.exp(-x))
        return 1.1 * (t + x * (1 - t * t) * s if abs(x) < 300 else float(x > 0))
'''
WRONG = """\
{file}: 1 of 15 checks failed
  op mish  14 passed, 1 failed
    derivative: d_x is 1.10 times too large everywhere (x = 0.2688: yours 2.9602, measured 2.6911) mish.py:9"""
RIGHT = "{file}: 15 checks passed\n  op mish  15 passed"


@pytest.fixture
def mish(tmp_path: Path) -> Path:
    file = tmp_path / "mish.py"
    file.write_text(MISH, encoding="utf-8")
    return file


def mend(file: Path) -> None:
    file.write_text(MISH.replace("1.1 * ", ""), encoding="utf-8")


def test_what_is_printed_of_a_broken_op_and_of_the_mended_one(mish: Path) -> None:
    assert str(conformance.test_pack(mish)) == WRONG.format(file=mish)
    mend(mish)
    assert str(conformance.test_pack(str(mish))) == RIGHT.format(file=mish)


def test_a_report_is_true_or_false_and_json(mish: Path) -> None:
    report = conformance.test_pack(mish)
    assert not report
    found = json.loads(json.dumps(report.to_dict()))
    assert (found["pack"], found["version"], found["ok"], len(found["results"])) == ("mish", "", False, 15)
    assert [r["check"] for r in found["results"] if r["state"] == "failed"] == ["derivative"]
    mend(mish)
    assert conformance.test_pack(mish)


def test_every_check_is_a_test_of_its_own(mish: Path) -> None:
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(pack_tests(mish))
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun == 15
    ((test, said),) = result.failures
    assert test.id().endswith(".test_op_mish_derivative")
    assert "AssertionError: d_x is 1.10 times too large everywhere" in said


def test_pytest_collects_them_whatever_they_are_called(tmp_path: Path, mish: Path) -> None:
    file = tmp_path / "test_conformance.py"
    file.write_text(
        "from microgpt_core.testing import pack_tests\ntest_pack = pack_tests('mish.py')\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "derivative or overwrites"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "160"}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8")
    assert "1 failed, 1 passed, 13 deselected" in result.stdout, result.stdout + result.stderr
    assert "AssertionError: d_x is 1.10 times too large everywhere (x = 0.2688: yours " in result.stdout
    assert "FAILED test_conformance.py::test_pack::test_op_mish_derivative" in result.stdout


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`install("caps", source)`: the distribution microgpt-caps 1.0, and nothing else."""
    site = tmp_path / "site"
    site.mkdir()
    discover = metadata.Distribution.discover
    monkeypatch.setattr(metadata, "distributions", lambda: discover(path=[str(site)]))
    monkeypatch.syspath_prepend(site)

    def install(name: str, source: str) -> str:
        (site / f"microgpt_{name}.py").write_text(source, encoding="utf-8")
        info = site / f"microgpt_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: microgpt-{name}\nVersion: 1.0\n", encoding="utf-8")
        entry = f"[microgpt.plugins.v1]\n{name} = microgpt_{name}\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")
        return f"microgpt-{name}"

    yield install
    for name in [n for n in sys.modules if n.startswith("microgpt_caps")]:
        del sys.modules[name]


HOOK = """
from microgpt_core.hookspecs import hookimpl
from microgpt_core.components import Kernel, Schedule, Tokenizer
from dataclasses import dataclass

class Cap(Schedule):
    {doc}
    name = {name!r}
    def after_warmup(self, progress):
        return 1.0
{more}
@hookimpl
def microgpt_schedules():
    return {{"cap": Cap}}
"""


def source(doc: str = '"""Caps."""', name: str = "cap", more: str = "") -> str:
    return HOOK.format(doc=doc, name=name, more=more)


BURN = "import time\nstart = time.process_time()\nwhile time.process_time() < start + 0.3: pass\n"
FAILING = """
class Broken(Tokenizer):
    \"\"\"It can't be made.\"\"\"
    name = "broken"
    def __init__(self): raise OSError("no merges.txt")
@hookimpl
def microgpt_tokenizers():
    return {"broken": Broken}
"""
BUGS = [
    ("imports_quickly", source(more=BURN), "importing microgpt_caps takes 0."),
    (
        "has_one_version",
        source(more='__version__ = "0.9"\n'),
        "microgpt_caps.__version__ is '0.9', but microgpt-caps 1.0",
    ),
    ("has_its_name", source(name="cape"), "its own name is 'cape'; write: name = 'cap'"),
    ("is_described", source(doc=""), "neither the class nor its module has a docstring"),
    ("can_be_made", source(more=FAILING), "OSError: no merges.txt microgpt_caps.py:"),
    ("loads", "import nonsense_that_is_not_there\n", "No module named 'nonsense_that_is_not_there'"),
]


@pytest.mark.parametrize(("check", "text", "said"), BUGS, ids=[name for name, _, _ in BUGS])
def test_a_pack_s_bug_is_found_by_the_check_that_is_for_it(install, check: str, text: str, said: str) -> None:
    report = conformance.test_pack(install("caps", text))
    (failed,) = [r for r in report.results if r.state == "failed"]
    assert failed.check == check
    assert said in failed.notes[0]
    assert not report


def test_every_check_of_packs_has_its_bug_and_lets_what_is_right_pass(install) -> None:
    names = {rule.__name__ for rule in (*PACK_RULES, *COMPONENT_RULES)} | {"can_be_made", "loads"}
    assert {name for name, _, _ in BUGS} == names
    report = conformance.test_pack(install("caps", source(more='__version__ = "1.0"\n')))
    assert report
    assert str(report) == "microgpt-caps 1.0: 7 checks passed\n  pack caps     2 passed\n  schedule cap  5 passed"


def test_what_an_import_brings_in_is_named(install) -> None:
    slow = "import yaml\n" + BURN
    report = conformance.test_pack(install("caps", source(more=slow)))
    assert "(it imports yaml); return 'module:Class' from the hooks" in str(report)
    assert f"allowed {IMPORT_LIMIT:g}" in str(report)


HIGH = """
@dataclass(kw_only=True)
class High(Cap):
    "Caps as high as it is told."
    name = "high"
    cap: float
    {examples}
    def after_warmup(self, progress):
        return self.cap
@hookimpl(specname="microgpt_schedules")
def more():
    return {{"high": High}}
"""


def test_a_component_that_needs_fields_is_tried_with_its_examples(install) -> None:
    examples = "examples = [{'cap': 1.0}, {'cap': 99.0}]"
    report = conformance.test_pack(install("caps", source(more=HIGH.format(examples=examples))))
    failed = [(r.component, r.check) for r in report.results if r.state == "failed"]
    assert failed == [("schedule high cap=99.0", "factors_are_sensible")]


def test_without_examples_it_is_not_tested_and_that_is_said(install) -> None:
    report = conformance.test_pack(install("caps", source(more=HIGH.format(examples=""))))
    assert report
    (skipped,) = [r for r in report.results if r.state == "skipped"]
    assert (skipped.component, skipped.check) == ("schedule high", "can_be_made")
    assert skipped.notes == ["it needs cap; say what to try in the class: examples = [{'cap': ...}]"]


KERNEL = """
from microgpt_core.components import Backend
class GPU(Backend):
    "Its kernels may need what only it has."
    name = "gpu"
    def unavailable(self): return {reason}
class Idle(Kernel):
    "It runs, and writes nothing."
    def forward(self, *views): pass
    backward = forward
class Unmakeable(Idle):
    "It can't be made."
    def __init__(self): raise OSError("no kernel.cl")
@hookimpl
def microgpt_backends():
    return {{"gpu": {backend}}}
@hookimpl
def microgpt_kernels():
    return {{"{on}/relu": {kernel}}}
"""
GONE = '"microgpt_caps_gone:Gone"'  # a module that isn't there


def kernel_results(install, *, on: str = "gpu", backend: str = "GPU", kernel: str = GONE, reason: object = None):
    """What a report says of a pack's kernel, and whether the report is true."""
    more = KERNEL.format(on=on, backend=backend, kernel=kernel, reason=repr(reason))
    report = conformance.test_pack(install("caps", source(more=more)))
    return [r for r in report.results if r.component == f"kernel {on}/relu"], bool(report)


@pytest.mark.parametrize(
    ("options", "said", "passes"),
    [
        ({"on": "card"}, "unknown backend 'card'; known: gpu, reference", True),
        ({"on": "numpy"}, r"unknown backend 'numpy'; .*\. microgpt-numpy brings it: microgpt plugins install ", True),
        ({"reason": "no such card"}, "the backend 'gpu' can't run on this machine: no such card$", True),
        ({"backend": GONE}, "backend 'gpu' of microgpt-caps 1.0: .*No module named 'microgpt_caps_gone'; try: ", False),
    ],
    ids=["unknown", "another pack's", "unavailable", "broken"],
)
def test_a_kernel_whose_backend_is_not_here_is_not_tested(install, options: dict, said: str, passes: bool) -> None:
    """Its module may need what the backend needs. A backend that is broken is what fails, in its own pack."""
    (result,), passed = kernel_results(install, **options)
    assert (result.check, result.state, passed) == ("can_be_made", "skipped", passes)
    assert re.match(said, result.notes[0])


@pytest.mark.parametrize(
    ("kernel", "check", "said"),
    [
        (GONE, "can_be_made", "No module named 'microgpt_caps_gone'"),
        ("Unmakeable", "can_be_made", "OSError: no kernel.cl microgpt_caps.py:"),
        ("Idle", "agrees_with_reference", "out is "),
    ],
)
def test_a_broken_kernel_whose_backend_is_here_fails(install, kernel: str, check: str, said: str) -> None:
    """The planted bugs of the test above: nothing that its backend can run is skipped."""
    results, passed = kernel_results(install, kernel=kernel)
    found = {r.check: r for r in results if r.state == "failed"}
    assert not passed
    assert said in found[check].notes[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("microgpt-cpas", r"unknown pack 'cpas' \(did you mean 'caps'\?\); known: caps\."),
        ("microgpt-mish", r"unknown pack 'mish'; known: caps\."),  # what they all begin with makes no two alike
        ("microgpt-cor", r"unknown pack 'cor'; known: caps\."),  # the core is none to suggest
    ],
)
def test_only_an_installed_pack_that_is_meant_is_suggested(install, name: str, said: str) -> None:
    install("caps", source())
    with pytest.raises(UnknownNameError, match=said):
        conformance.test_pack(name)


@pytest.mark.parametrize("name", ["caps", "microgpt-caps", "microgpt_caps", "Microgpt-Caps"])
def test_a_pack_goes_by_its_name_or_its_distribution_s(install, name: str) -> None:
    install("caps", source())
    assert conformance.test_pack(name).pack == "caps"


def test_a_file_s_path_may_be_written_in_any_way(mish: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mend(mish)
    monkeypatch.chdir(mish.parent)
    assert conformance.test_pack("./mish.py").pack == "mish"


def test_what_is_no_pack_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Install a pack to test it, or name a Python file"):
        conformance.test_pack("microgpt-msih")
    with pytest.raises(PluginError, match="no such file"):
        conformance.test_pack(tmp_path / "msih.py")
