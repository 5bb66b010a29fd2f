"""`--plugin FILE`: what a file defines is registered; what is wrong with it is said with its line."""

from pathlib import Path

import pytest

from microgpt_core.pipeline import builtin
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import PluginError

MISH = """
from dataclasses import dataclass
from microgpt_core.components import Kernel, Schedule, Tokenizer, Unary

class Mish(Unary):
    def f(self, x): return x
    def df(self, x): return 1.0

class _Base(Tokenizer):
    pass

class Reverse(_Base):
    name = "reverse"

@dataclass
class Halves(Schedule):
    name = "halves"
    every: int = 3

class MishKernel(Kernel):
    name = "reference/mish"
"""


def write(folder: Path, source: str, name: str = "my_pack.py") -> Path:
    file = folder / name
    file.write_text(source, encoding="utf-8")
    return file


def test_every_component_of_a_file_is_registered(tmp_path: Path) -> None:
    file = write(tmp_path, MISH)
    registry = load(builtin, [file])
    assert registry.get("ops", "mish").__name__ == "Mish"
    assert registry.get("ops", "my_pack/mish") is registry.get("ops", "mish")
    assert registry.get("tokenizers", "reverse").__name__ == "Reverse"
    assert [f.name for f in registry.describe("schedules", "halves").fields] == ["warmup_steps", "every"]
    assert registry.names("kernels") == ["reference/mish"]
    assert registry.get("kernels", "my_pack/reference/mish").__name__ == "MishKernel"
    about = registry.describe("ops", "mish")
    assert (about.pack, about.distribution, about.version) == ("my_pack", str(file), "")


def test_a_file_may_have_hooks(tmp_path: Path) -> None:
    source = (
        "from microgpt_core.hookspecs import hookimpl\n"
        "@hookimpl\ndef microgpt_stages(): return {'report': report}\n"
        "def report(context): pass\n"
    )
    assert load(builtin, [write(tmp_path, source)]).get("stages", "report").__name__ == "report"


def test_a_file_can_be_changed_and_loaded_again(tmp_path: Path) -> None:
    first = load(builtin, [write(tmp_path, MISH)])
    second = load(builtin, [write(tmp_path, MISH.replace("class Mish(", "class Mush("))])
    assert "mish" in first.names("ops")
    assert "mush" in second.names("ops")
    assert "mish" not in second.names("ops")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ny = 1 / 0", r"my_pack\.py:2: ZeroDivisionError: division by zero"),
        ("def f(:", r"my_pack\.py:1: SyntaxError"),
        ("import sys\nsys.exit()", r"my_pack\.py:2: SystemExit"),
        ("x = 1", "it defines no op, tokenizer or other component"),
        (
            "from microgpt_core.components import Tokenizer\nclass Reverse(Tokenizer): pass",
            "class Reverse has no name; add: name = 'reverse'",
        ),
        (MISH.replace('"reverse"', '"Re verse"'), "returned the name 'Re verse'"),
        (MISH.replace("Mish(Unary)", "ReLU(Unary)").replace("class ReLU", "class Relu"), "op 'relu' is the core's"),
        (
            "from microgpt_core.components import Unary\nclass Mish(Unary):\n    def f(self, x, y): return x\n"
            "    def df(self, x): return 1.0",
            r"my_pack\.py:2: SignatureError",
        ),
    ],
)
def test_a_bad_file_says_what_is_wrong(source: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=said):
        load(builtin, [write(tmp_path, source)])


@pytest.mark.parametrize(
    ("name", "said"), [("no.py", "no such file"), (".", "no such file"), ("a.txt", "ending in .py")]
)
def test_what_is_no_python_file(name: str, said: str, tmp_path: Path) -> None:
    write(tmp_path, "", "a.txt")
    with pytest.raises(PluginError, match=said):
        load(builtin, [tmp_path / name])
