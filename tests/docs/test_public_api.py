"""docs/reference/api.md is the record of the public API: what came, went or changed since is told, with the version."""

import importlib
import shutil
from pathlib import Path
from types import ModuleType

import pytest

import microgpt_core as mg
from microgpt_core import components, testing

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("reference_pages.api")


def test_the_api_is_the_one_on_record(api: ModuleType) -> None:
    found = api.changes(PAGE, api.page())
    assert not found, "\n".join(["", *found, "To put it on record: python scripts/make_reference.py"])


@pytest.mark.parametrize("module", [mg, components, testing])
def test_the_record_is_what_can_be_imported(api: ModuleType, module: ModuleType) -> None:
    """The page is made from the source's imports; `__all__` is what `import *` and `dir` show."""
    assert set(module.__all__) - api.ELSEWHERE == api.public_names(ROOT, module.__name__)
    for name in module.__all__:
        assert hasattr(module, name)


def test_what_a_public_class_inherits_is_on_record(api: ModuleType) -> None:
    """Otherwise a method of a hidden base could go unnoticed."""
    every = [definition for module in api.MODULES for definition in api.definitions(ROOT, module)]
    known = {definition.name for definition in every}
    outside = {base for definition in every for base in definition.bases} - known
    assert outside <= {
        "Exception", "ValueError", "TypeError", "RuntimeError", "ArithmeticError", "MemoryError", "OSError",
        "KeyboardInterrupt", "Protocol", "NamedTuple",
        "memoryview[Any]",
    }  # fmt: skip


# File, what it says, what it says instead, and what is told of it.
PLANTED = {
    "a new name": (
        "components/__init__.py", "import Buffer, Shape,", "import STRETCH, Buffer, Shape,",
        ["added    microgpt_core.components.STRETCH: STRETCH = 4096", "asks for a minor version"],
    ),
    "a new method": (
        "components/analyzer.py", "    def report(", "    def finish(self) -> None:\n        ...\n\n    def report(",
        ["added    microgpt_core.Analyzer.finish: Analyzer.finish() -> None", "asks for a minor version"],
    ),
    "a lost function": (
        "pipeline/api.py", "def plan(", "def _plan(",
        ["LookupError: microgpt_core.pipeline.api has no plan"],
    ),
    "a lost name": (
        "__init__.py", "plan as plan, resume as resume,", "resume as resume,",
        ["removed  microgpt_core.plan: plan(pipeline: ", "asks for a major version, or keep it and deprecate it first"],
    ),
    "a lost method": (
        "components/backend.py", "def unavailable(", "def _unavailable(",
        ["removed  microgpt_core.Backend.unavailable: ", "asks for a major version"],
    ),
    "a renamed parameter": (
        "components/text.py", "def encode(self, text: str)", "def encode(self, words: str)",
        [
            "changed  microgpt_core.Tokenizer.encode: Tokenizer.encode(text: str) -> list[int]",
            "now      Tokenizer.encode(words: str) -> list[int]", "asks for a major version",
        ],
    ),
    "another default": (
        "components/training.py", "lr: float = 1e-3", "lr: float = 1e-2",
        ["changed  microgpt_core.Optimizer.lr: Optimizer.lr: float = 0.001", "now      Optimizer.lr: float = 0.01"],
    ),
    "another base": (
        "errors.py", "class DataError(MicrogptError, ValueError)", "class DataError(MicrogptError)",
        ["changed  microgpt_core.errors.DataError: class DataError(MicrogptError, ValueError)"],
    ),
    "another kind of class": (
        "components/training.py", "@dataclass\nclass Schedule", "class Schedule",
        ["changed  microgpt_core.Schedule: @dataclass class Schedule", "now      class Schedule"],
    ),
    "a property that becomes a method": (
        "models/model.py", "    @property\n    def n_parameters", "    def n_parameters",
        ["changed  microgpt_core.Model.n_parameters: Model.n_parameters: int", "now      Model.n_parameters() -> int"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's source, to be changed."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "microgpt_core", folder / "microgpt_core", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_change_is_told(name: str, api: ModuleType, clone: Path) -> None:
    path, old, new, told = PLANTED[name]
    file = clone / "microgpt_core" / path
    source = file.read_text(encoding="utf-8")
    assert source.count(old) == 1
    file.write_text(source.replace(old, new), encoding="utf-8", newline="\n")
    try:
        found = "\n".join(api.changes(PAGE, api.page(clone)))
    except LookupError as error:
        found = f"LookupError: {error}"
    finally:
        file.write_text(source, encoding="utf-8", newline="\n")
    assert [line for line in told if line not in found] == [], found
    assert len([line for line in found.splitlines() if not line.startswith(" ")]) == 1  # and nothing else


@pytest.mark.parametrize(
    ("old", "new"),
    [("Looks, never touches. ", "Looks on. "), ("float = 1e-3\n", "float = 1e-3  # as in the paper\n")],
)
def test_other_words_are_no_change_of_the_api(old: str, new: str, api: ModuleType) -> None:
    assert api.changes(PAGE, PAGE.replace(old, new)) == []
