"""The registry's answers about what the core brings; what packs add is in test_loader.py."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pytest

from microgpt_core import hookspecs
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.pipeline import builtin
from microgpt_core.plugins.fields import fields_of, type_text
from microgpt_core.plugins.kinds import KINDS, kind_named
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import PluginError
from microgpt_core.plugins.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(builtin)


def test_every_kind_has_its_documented_hook() -> None:
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("microgpt_") and callable(hook)}
    assert set(hooks) == {f"microgpt_{kind}" for kind in KINDS}
    for hook in hooks.values():
        assert "Example: `return {" in hook.__doc__
        assert hook() is None


def test_everything_of_the_core_can_be_described(registry: Registry) -> None:
    core = [(kind, name) for kind in KINDS for name in registry.names(kind) if kind != "stages"]
    assert len(core) > 30
    for kind, name in core:
        about = registry.describe(kind, name)
        assert about.doc, (kind, name)
        assert (about.pack, about.distribution) == ("core", "microgpt-core")


@pytest.mark.parametrize(("kind", "name"), [("tokenizers", "char"), ("tokenizer", "char"), ("tokenizers", "core/char")])
def test_names_are_short_or_qualified(kind: str, name: str, registry: Registry) -> None:
    assert registry.get(kind, name).name == "char"
    assert registry.full_name(kind, name) == "char"


@pytest.mark.parametrize(
    ("kind", "name", "error", "said"),
    [
        ("tokenizers", "cahr", UnknownNameError, r"unknown tokenizer 'cahr' \(did you mean 'char'\?\); known: char"),
        ("tokenizers", "core/cahr", UnknownNameError, "unknown tokenizer"),
        ("tokenizers", "other/char", UnknownNameError, "unknown tokenizer"),
        ("tokenizers", "char@1", ConfigurationError, "microgpt-core .* is installed; write 'char@0'"),
        ("tokenisers", "char", UnknownNameError, r"unknown kind 'tokenisers' \(did you mean 'tokenizers'\?\)"),
        ("formats", "gguf", UnknownNameError, "unknown format 'gguf'; known: json, python, safetensors"),
    ],
)
def test_unknown_names(kind: str, name: str, error: type[Exception], said: str, registry: Registry) -> None:
    with pytest.raises(error, match=said):
        registry.get(kind, name)


def test_a_kind_has_one_name_and_its_plural() -> None:
    assert kind_named("analyzer") is kind_named("analyzers") is KINDS["analyzers"]


@dataclass
class Parent:
    """A parent.

    Fields:
        size: how large
        rate: how fast; a longer
            explanation

    Notes:
        size: not this one
    """

    name: ClassVar[str] = "parent"
    size: int
    rate: float | None = None
    hidden: int = field(default=3, init=False)


@dataclass
class Child(Parent):
    """Fields:
    nonsense, since the section has no line of its own
    """

    mode: Literal["a", "b"] = "a"
    items: list[str] = field(default_factory=lambda: ["x"])


def test_fields_come_with_type_default_and_meaning() -> None:
    found = {f.name: (type_text(f.type), f.required, f.doc) for f in fields_of(Child)}
    assert found == {
        "size": ("int", True, "how large"),
        "rate": ("float or null", False, "how fast; a longer explanation"),
        "mode": ("a or b", False, ""),
        "items": ("list[str]", False, ""),
    }
    assert fields_of(Child)[-1].default == ["x"]
    assert fields_of(int) == fields_of(len) == []


@dataclass
class Unresolvable:
    value: "NoSuchType" = 3  # type: ignore[name-defined]  # noqa: F821


def test_a_type_that_does_not_resolve_is_the_packs_mistake() -> None:
    with pytest.raises(PluginError, match="Unresolvable: name 'NoSuchType' is not defined"):
        fields_of(Unresolvable)
