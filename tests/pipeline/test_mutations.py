"""Three thousand pipelines with a mistake in each: none is accepted, none ends in a traceback, and the hints are right.

A mutation is made on the text, with PyYAML's places and rules of its own, so that the reader isn't asked what is wrong.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml

from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading import keys, read, yaml_reader
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import COMPONENTS, LISTED, SETTINGS, SUPPLIED, to_dict
from microgpt_core.pipeline.reading.source import packaged
from microgpt_core.pipeline.reading.top_level import TYPES
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.plugins.fields import fields_of
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
LETTERS = "abcdefghijklmnopqrstuvwxyz_"
HINTS_RIGHT = 0.95
MORE = """\
backend: [reference]
kernels: {attention: reference, linear: reference}
freeze: [wte, block.0.attention]
precision: float64
model:
  activation: gelu
  norm: layernorm
  norm_placement: post
  position: rope
  attention: attention
train: {batching: packed, shuffle: once, on_non_finite: rollback, minutes: 3}
generate:
  prompts:
    - a
    - b
  top_p: 0.9
"""
Path_ = tuple[str | int, ...]


@dataclass
class Entry:
    """One `key: value` of a text."""

    path: Path_
    key: yaml.ScalarNode
    value: yaml.Node
    flow: bool  # inside { }


@dataclass
class Mutant:
    """A text with one mistake; `hint` is the word that the message should suggest, `said` what it must have."""

    kind: str
    text: str
    hint: str = ""
    said: str = ""


def entries(text: str) -> list[Entry]:
    def walk(node: yaml.Node, path: Path_) -> Iterator[Entry]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield Entry((*path, key.value), key, value, node.flow_style)
                yield from walk(value, (*path, key.value))

    return list(walk(yaml.compose(text), ()))


def slip(word: str, rng: random.Random) -> str:
    """A word with a letter inserted, deleted or replaced, or with two neighbours swapped."""
    i = rng.randrange(len(word))
    made = {
        "insert": word[:i] + rng.choice(LETTERS) + word[i:],
        "delete": word[:i] + word[i + 1 :],
        "replace": word[:i] + rng.choice(LETTERS) + word[i + 1 :],
        "swap": word[:i] + word[i : i + 2][::-1] + word[i + 2 :],
    }
    return made[rng.choice(list(made))]


class Mutator:
    """Makes mistakes in right pipelines; the same seed makes the same ones."""

    def __init__(self, texts: list[str], registry: Registry, seed: int) -> None:
        self.texts, self.registry, self.rng = texts, registry, random.Random(seed)
        self.entries = {text: entries(text) for text in texts}

    def mutant(self, kind: str) -> Mutant:
        while True:
            if made := getattr(self, kind)(self.rng.choice(self.texts)):
                return made

    # what there is

    def cls(self, text: str, section: str) -> Any:
        """The class that a section of a text is for."""
        if section in SETTINGS:
            return SETTINGS[section]
        data = yaml.safe_load(text).get(section)
        use = data if isinstance(data, str) else (data or {}).get("use", COMPONENTS[section][1])
        return self.registry.get(COMPONENTS[section][0], use)

    def types(self, text: str, path: Path_) -> dict[str, Any]:
        """The keys beside the one at `path`, with their types."""
        if len(path) == 1:
            own = dict.fromkeys([*COMPONENTS, *SETTINGS], object) | dict.fromkeys(LISTED, list)
            return TYPES | own | {"extends": str}
        section = str(path[0])
        found = {f.name: f.type for f in fields_of(self.cls(text, section)) if f.name not in SUPPLIED.get(section, {})}
        special = {"use": str} if section in COMPONENTS else {}
        return found | special | ({"preset": str | None} if section == "model" else {})

    def names(self, text: str, path: Path_) -> list[str]:
        """The names that the value at `path` is one of; none where it is any text."""
        section, key = str(path[0]), path[-1]
        if section in COMPONENTS and (len(path) == 1 or key == "use"):
            return self.registry.names(COMPONENTS[section][0])
        if path == ("model", "preset"):
            return list(PRESETS)
        if section == "kernels" or path == ("backend",):
            return [*self.registry.names("backends"), "auto"]
        annotation = self.types(text, path).get(str(key)) if len(path) <= 2 else None
        choices = [c for branch in (annotation, *get_args(annotation)) for c in literals(branch)]
        slot = getattr(self.cls(text, section), "slots", {}).get(key) if len(path) == 2 else None
        return self.registry.names("ops") if slot else choices

    # the kinds of mistakes

    def misspelt_key(self, text: str) -> Mutant | None:
        entry = self.rng.choice(self.entries[text])
        kernel = entry.path[0] == "kernels" and len(entry.path) == 2
        known = self.registry.names("ops") if kernel else list(self.types(text, entry.path))
        wrong = slip(entry.key.value, self.rng)
        if wrong in known or not wrong:
            return None
        return Mutant("misspelt key", replaced(text, entry.key, wrong), hint=entry.key.value)

    def misspelt_name(self, text: str) -> Mutant | None:
        entry = self.rng.choice(self.entries[text])
        node, known = entry.value, self.names(text, entry.path) if len(entry.path) < 3 else []
        if isinstance(node, yaml.SequenceNode) and entry.path in (("stages",), ("backend",)):
            node = self.rng.choice(node.value)
            known = self.registry.names(str(entry.path[0]).rstrip("s") + "s")
        if not isinstance(node, yaml.ScalarNode) or node.value not in known:
            return None
        wrong = slip(node.value, self.rng)
        if wrong in known or yaml.safe_load(wrong) != wrong:
            return None
        return Mutant("misspelt name", replaced(text, node, wrong), hint=node.value)

    def wrong_type(self, text: str) -> Mutant | None:
        entry = self.rng.choice(self.entries[text])
        if not isinstance(entry.value, yaml.ScalarNode) and not entry.value.flow_style or len(entry.path) > 2:
            return None
        annotation = str if entry.path[0] == "kernels" else self.types(text, entry.path)[str(entry.path[-1])]
        if len(entry.path) == 1 and annotation is object:
            annotation = dict | (str | None if entry.path[0] in COMPONENTS else None)
        values = ["word", "1.5", "-7", "true", "null", "'7'", "[1, x]", "{a: 1}", "no", "1e-3x", "[]", ".nan"]
        written = self.rng.choice(
            [v for v in values if not fits(annotation, yaml_reader.read_yaml(v, "").data)] or [""]
        )
        return Mutant("wrong type", replaced(text, entry.value, written)) if written else None

    def duplicate_key(self, text: str) -> Mutant | None:
        entry = self.rng.choice(self.entries[text])
        source = text[entry.key.start_mark.index : entry.value.end_mark.index].rstrip()
        end = entry.key.start_mark.index + len(source)
        if entry.flow:
            return Mutant("duplicate key", f"{text[:end]}, {source}{text[end:]}", said="is here twice")
        end = text.index("\n", end)
        copy = "\n" + " " * entry.key.start_mark.column + source
        return Mutant("duplicate key", text[:end] + copy + text[end:], said="is here twice")

    def indentation(self, text: str) -> Mutant | None:
        lines = text.splitlines()
        i = self.rng.randrange(len(lines))
        bare = lines[i].lstrip()
        if not bare or bare.startswith("#"):
            return None
        old = lines[i][: len(lines[i]) - len(bare)]
        new = self.rng.choice([" " * max(0, len(old) + n) for n in (-2, -1, 1, 2, 3)] + ["\t"])
        lines[i] = new + bare
        return None if new == old else Mutant("indentation", "\n".join(lines) + "\n")

    def missing_pack(self, text: str) -> Mutant | None:
        absent = {"tokenizer": "bpe", "optimizer": "lion", "schedule": "wsd", "dataset": "jsonl", "backend": "simd"}
        if "plugins:" in text:
            return None
        if self.rng.random() < 0.2:
            name = self.rng.choice(["microgpt-simd", "microgpt-tokenizers>=0.1", "microgpt-nothing"])
            return Mutant("missing pack", f"{text}plugins: ['{name}']\n", said="microgpt plugins install")
        wanted = [e for e in self.entries[text] if e.path[0] in absent and (len(e.path) == 1 or e.path[1] == "use")]
        wanted = [e for e in wanted if isinstance(e.value, yaml.ScalarNode)]
        if not wanted:
            return None
        entry = self.rng.choice(wanted)
        changed = replaced(text, entry.value, absent[str(entry.path[0])])
        return Mutant("missing pack", changed, said="microgpt plugins install")


KINDS = ("misspelt_key", "misspelt_name", "wrong_type", "duplicate_key", "indentation", "missing_pack")


def literals(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def replaced(text: str, node: yaml.Node, written: str) -> str:
    return text[: node.start_mark.index] + written + text[node.end_mark.index :]


def fits(annotation: Any, value: Any) -> bool:
    """Whether plain data is of a type, as a pipeline has it: a mapping by its values, a list by its items."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return value in inner
    if origin in (list, tuple):
        length = len(inner) if origin is tuple and ... not in inner else None
        right = isinstance(value, list) and length in (None, len(value))
        return right and all(fits(inner[0], item) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(inner[1], item) for item in value.values())
    if inner:
        return any(fits(branch, value) for branch in inner)
    if annotation is float:
        return type(value) in (int, float) and value == value
    return type(value) is (NoneType if annotation is None else annotation)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(builtin)


@pytest.fixture(scope="module")
def texts(registry: Registry) -> list[str]:
    """Right pipelines of several styles."""
    given = [file.read_text(encoding="utf-8") for file in packaged().values()]
    given += [(EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8") for name in ("names", "llama", "gpt2")]
    return [*given, MORE, write_yaml(to_dict(read_pipeline("names", registry)))]


def failures(mutants: list[Mutant], registry: Registry, folder: Path, originals: list[Any]) -> list[str]:
    """What the reader does wrong with them; hints count together."""
    found, hints = list[str](), Counter[bool]()
    file = folder / "t.yaml"
    for mutant in mutants:
        file.write_text(mutant.text, encoding="utf-8", newline="\n")
        try:
            accepted, said = to_dict(read_pipeline(file, registry)), ""
        except PipelineError as error:
            said = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no message for people
            found.append(f"{mutant.kind}: {type(error).__name__}: {error}\n{mutant.text}")
            continue
        if not said:
            if mutant.kind == "indentation" and accepted | {"name": ""} in originals:
                continue  # the same thing, written otherwise
            found.append(f"{mutant.kind}: accepted\n{mutant.text}")
        elif mutant.said not in said:
            found.append(f"{mutant.kind}: not {mutant.said!r}, but: {said}")
        if mutant.hint:
            hints[f"did you mean {mutant.hint!r}" in said] += 1
    if hints[True] < HINTS_RIGHT * sum(hints.values()):
        found.append(f"hints: {hints[True]} of {sum(hints.values())} are right")
    return found


Try = Callable[..., list[str]]


@pytest.fixture
def attempt(texts: list[str], registry: Registry, tmp_path: Path) -> Try:
    """`attempt(300)`: what goes wrong with so many mutants, of every kind or of some."""
    originals = []
    for text in texts:
        (tmp_path / "t.yaml").write_text(text, encoding="utf-8", newline="\n")
        originals.append(to_dict(read_pipeline(tmp_path / "t.yaml", registry)) | {"name": ""})

    def attempt(count: int, seed: int = 0, kinds: tuple[str, ...] = KINDS) -> list[str]:
        mutator = Mutator(texts, registry, seed)
        mutants = [mutator.mutant(kinds[i % len(kinds)]) for i in range(count)]
        return failures(mutants, registry, tmp_path, originals)

    return attempt


def test_three_hundred_mistakes_are_all_found(attempt: Try) -> None:
    found = attempt(300)
    assert not found, f"{len(found)}:\n" + "\n\n".join(found[:5])


@pytest.mark.slow
def test_three_thousand_mistakes_are_all_found(attempt: Try) -> None:
    found = attempt(3000, seed=1)
    assert not found, f"{len(found)}:\n" + "\n\n".join(found[:5])


def no_duplicates(self: Any, event: Any, message: str) -> None:
    if "twice" not in message:
        place = self.document.place(event.start_mark.line, event.start_mark.column)
        self.document.problems.append(yaml_reader.Problem(place, message))


def failing(*arguments: Any) -> Any:
    raise KeyError("a reader's own mistake")


@pytest.mark.parametrize(
    ("kind", "where", "name", "bug", "said"),
    [
        ("misspelt_key", read, "check_keys", lambda *_: None, "misspelt key: accepted"),
        ("misspelt_key", keys, "nearest", lambda *_: "", "hints: "),
        ("duplicate_key", yaml_reader.Builder, "problem", no_duplicates, "duplicate key: accepted"),
        ("wrong_type", read, "finish", failing, "wrong type: KeyError"),
        ("indentation", yaml_reader, "syntax_problem", failing, "indentation: KeyError"),
    ],
)
def test_a_planted_bug_is_found(
    kind: str, where: Any, name: str, bug: Any, said: str, attempt: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, bug)
    assert any(failure.startswith(said) for failure in attempt(60, kinds=(kind,)))


def test_configuration_errors_are_what_is_raised() -> None:
    assert issubclass(PipelineError, ConfigurationError)
