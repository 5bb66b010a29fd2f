"""What is said about a name that nothing answers to: the pack that brings it, or the pack that would if it could."""

import ast
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from microgpt_core.cli.main import COMMANDS
from microgpt_core.pipeline import builtin
from microgpt_core.plugins import hints
from microgpt_core.plugins.hints import hint, install_command, quoted
from microgpt_core.plugins.kinds import KINDS
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import Pack, PluginError
from microgpt_core.plugins.selection import Without

CATALOGUE = json.loads(files("microgpt_core.plugins").joinpath("catalogue.json").read_text(encoding="utf-8"))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def outside_a_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hints, "__file__", str(tmp_path / "microgpt_core" / "plugins" / "hints.py"))


def pack(name: str, state: str = "ok") -> Pack:
    return Pack(name, f"microgpt_{name}", "1.0", state=state, stage="import", error=PluginError("why"))  # type: ignore[arg-type]


FAILED = "pack 'tokenizers' (microgpt_tokenizers 1.0) failed (import): why; try: microgpt plugins install --upgrade "
HINTS = [
    ("tokenizers", "bpe", [], "microgpt-tokenizers brings it: microgpt plugins install microgpt-tokenizers"),
    ("tokenizers", "tokenizers/bpe", [], "microgpt-tokenizers brings it"),
    ("tokenizers", "bpe", [pack("other", "failed")], "microgpt-tokenizers brings it"),
    ("tokenizers", "bpe", [pack("other", "failed"), pack("tokenizers", "failed")], FAILED),
    ("tokenizers", "bpe", [pack("tokenizers", "disabled")], "pack 'tokenizers' (microgpt_tokenizers 1.0) is disa"),
    ("tokenizers", "bpe", [pack("tokenizers")], "A later microgpt-tokenizers brings it: microgpt plugins install --"),
    ("tokenizers", "pbe", [], ""),
    ("tokenizers", "pbe", [pack("other")], ""),
    ("tokenizers", "pbe", [pack("tokenizers", "failed"), pack("fine")], FAILED),
    (
        "tokenizers", "pbe", [pack("a", "failed"), pack("b", "disabled"), pack("c")],
        "Packs that aren't used may bring it: a (failed), b (disabled); see: microgpt plugins list",
    ),
    ("passes", "bfloat16", [], "microgpt-simd brings it: microgpt plugins install microgpt-simd"),
    ("datasets", "bpe", [], ""),
    ("formats", "gguf", [], ""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "packs", "said"), HINTS)
def test_hint(kind: str, name: str, packs: list[Pack], said: str) -> None:
    found = hint(kind, name, packs)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_in_a_clone_the_hint_is_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "microgpt-numpy"
    assert install_command("microgpt-numpy") == "microgpt plugins install microgpt-numpy"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    assert install_command("microgpt-numpy", "microgpt-numpy>=1") == f"microgpt plugins install {quoted(str(folder))}"
    assert install_command("microgpt-simd", "microgpt-simd>=1") == 'microgpt plugins install "microgpt-simd>=1"'


def test_the_catalogue_names_kinds_and_nothing_that_the_core_brings() -> None:
    registry = load(builtin, [Without(p.distribution) for p in load(builtin).packs[1:]])
    assert set(CATALOGUE) <= {*KINDS, "commands"}
    for kind, found in CATALOGUE.items():
        assert not set(found) & set(COMMANDS if kind == "commands" else registry.names(kind))
        assert all(distribution.startswith("microgpt-") for distribution in found.values())


def test_every_first_party_pack_is_in_the_catalogue() -> None:
    listed = {distribution for found in CATALOGUE.values() for distribution in found.values()}
    assert {file.parent.name for file in ROOT.glob("plugins/*/pyproject.toml")} <= listed


def brought() -> Iterator[tuple[str, str, str]]:
    """What the first-party packs say that they bring, where a hook's dictionary is written out: pack, kind, name."""
    for file in ROOT.glob("plugins/*/microgpt_*/plugin.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Return):
                made, kind = node.body[-1].value, node.name.removeprefix("microgpt_")
                names = made.keys if isinstance(made, ast.Dict) and kind in CATALOGUE else []
                texts = [name.value for name in names if isinstance(name, ast.Constant)]
                yield from ((file.parents[1].name, kind, name) for name in texts)


def test_whatever_a_first_party_pack_brings_is_in_the_catalogue() -> None:
    found = list(brought())
    assert ("microgpt-simd", "ops", "linear_bfloat16") in found
    assert [(pack, kind, name) for pack, kind, name in found if CATALOGUE[kind].get(name) != pack] == []
