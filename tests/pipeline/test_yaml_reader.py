"""The YAML reader: YAML 1.2's scalars, a place for everything, and nothing that a pipeline has no use for."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from microgpt_core.pipeline.reading import yaml_reader
from microgpt_core.pipeline.reading.problems import PipelineError, Problem
from microgpt_core.pipeline.reading.yaml_reader import MAX_BYTES, MAX_DEPTH, MAX_NODES, Events, read_yaml
from microgpt_core.pipeline.reading.yaml_writer import write_yaml

SCALARS = {
    "3e-4": 3e-4, "1.5": 1.5, ".5": 0.5, "2.": 2.0, "1e3": 1000.0, "-1": -1, "+7": 7, "010": 10, "0o17": 15,
    "0x1F": 31, "no": "no", "on": "on", "yes": "yes", "Off": "Off", "true": True, "False": False, "null": None,
    "~": None, "": None, "12:30": "12:30", "2026-01-01": "2026-01-01", "1_000": "1_000", "'3'": "3", '"no"': "no",
    "abc": "abc", ".inf": math.inf, "-.inf": -math.inf, "1.2.3": "1.2.3", "=": "=", "٣": "٣",
}  # fmt: skip


def problem_of(text: str) -> tuple[int, int, str]:
    """The place and message of the only problem that a text has, fatal or not."""
    try:
        problems = read_yaml(text, "t.yaml").problems
    except PipelineError as error:
        problems = error.problems
    assert len(problems) == 1, problems
    return problems[0].place.line, problems[0].place.column, problems[0].message


@pytest.mark.parametrize("written", SCALARS)
def test_scalars_are_yaml_1_2(written: str) -> None:
    value = read_yaml(f"key: {written}", "t.yaml").data["key"]
    assert (value, type(value)) == (SCALARS[written], type(SCALARS[written]))


def test_nan_is_a_number() -> None:
    assert math.isnan(read_yaml("key: .nan", "t.yaml").data["key"])


def test_every_key_and_value_has_its_place() -> None:
    document = read_yaml("model:\n  n_layer: 4\nlist: [a, {b: c}]\n", "t.yaml")
    assert document.data == {"model": {"n_layer": 4}, "list": ["a", {"b": "c"}]}
    places = {path: (place.line, place.column) for path, place in document.values.items()}
    assert places["model", "n_layer"] == (2, 12)
    assert places["list", 0] == (3, 8)
    assert places["list", 1, "b"] == (3, 15)
    assert (document.keys["model", "n_layer"].line, document.keys["model", "n_layer"].column) == (2, 3)
    assert not document.problems


@pytest.mark.parametrize("empty", ["", "# only a comment\n", "---\n", "\n\n"])
def test_an_empty_text_is_nothing(empty: str) -> None:
    assert read_yaml(empty, "t.yaml").data is None


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "'a' is here twice; the first is in line 1"),
        ("m: {a: 1, a: 2}", 1, 11, "twice"),
        ("a: !!python/object/apply:os.system [ls]", 1, 4, "tag"),
        ("a: !mine 3", 1, 4, "tag"),
        ("a: &x 3", 1, 4, "anchors"),
        ("<<: {a: 1}", 1, 1, "merge keys"),
        ("a: 1\n---\nb: 2", 2, 1, "second document"),
        ("? [a, b]\n: 1", 1, 3, "a key is a word"),
        ("a:\n\tb: 1", 2, 1, "tab"),
        ("a: b: c", 1, 5, "no `key:` can stand here"),
        ("model:\n  n_layer: 1\n n_head: 4", 3, 2, "line up"),
        ("model:\n  n_layer: 1\n    n_head: 4", 3, 11, "check the indentation"),
        ("model: {n_layer: 1\ntrain: {max_steps: 5}", 2, 6, "the { in line 1 isn't closed"),
        ("model: {n_layer: 1", 1, 19, "the { in line 1 isn't closed"),
        ("model: {n_layer: 1 n_head: 2}", 1, 26, "a comma is missing"),
        ("prompts: [a, b", 1, 15, "the [ in line 1 isn't closed"),
        ("name: x\ntext: 'abc\n", 2, 7, "this quote isn't closed"),
        ('path: "C:\\Users\\me"', 1, 12, "a backslash in double quotes starts an escape; use single quotes"),
        ('path: "C:\\data"', 1, 11, "backslash"),
        ("name: x\nseed 5\n", 2, 1, "expected `key: value`"),
        ("name: x\nseed:5\n", 2, 1, "a colon is followed by a space"),
        ("a: @b", 1, 4, "put it in quotes"),
        ("a: \x07", 1, 4, "isn't allowed"),
        ("a: b\n\x00", 2, 1, "isn't allowed"),
        ("a: " + "1" * 5000, 1, 4, "digits"),
        ("a: [", 1, 5, "a value is missing here"),
        ("a: *.txt", 1, 5, "a text can't start with * or &"),
        ("a:\n  - b\n    - c", 2, 5, "this goes on in the next line"),
        ("a: one\n  two", 1, 4, "this goes on in the next line"),
    ],
)
def test_what_is_refused_says_where(text: str, line: int, column: int, said: str) -> None:
    found = problem_of(text)
    assert found[:2] == (line, column)
    assert said in found[2]


def test_an_alias_is_refused_too() -> None:
    problems = read_yaml("a: &x [1]\nb: *x", "t.yaml").problems
    assert [(p.place.line, p.place.column) for p in problems] == [(1, 4), (2, 4)]


BOMBS = {
    "deep flow": "[" * 100_000,
    "deep mapping": "{a: " * 100_000,
    "deep block": "\n".join(" " * i + "a:" for i in range(500)),
    "deep items": "- " * 10_000,
    "deep keys": "? " * 10_000,
    "many values": "- 1\n" * (MAX_NODES + 1),
    "many keys": "".join(f"k{i}: 1\n" for i in range(MAX_NODES)),
    "many items": "[" + "1, " * 300_000 + "]",
    "many documents": "---\n" * 200_000,
    "long keys": "? a\n" * 100_000,
    "laughs": "a: &a [x]\n" + "".join(f"a{i}: &a{i} [{', '.join(['*a'] * 9)}]\n" for i in range(9)),
    "large": "a: " + "b" * MAX_BYTES,
}


def refusal(text: str) -> list[Problem]:
    try:
        return read_yaml(text, "t.yaml").problems
    except PipelineError as error:
        return error.problems


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_a_line_before_they_are_built(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large, no more is read of them than of the largest text that is allowed: about 50 ms of work."""
    work = 0

    def counted(function: Callable[[Events], Any]) -> Callable[[Events], Any]:
        def call(self: Events) -> Any:
            nonlocal work
            work += 1
            return function(self)

        return call

    for method in ("get_event", "fetch_more_tokens"):
        monkeypatch.setattr(Events, method, counted(getattr(Events, method)))
    (problem, *_) = refusal(BOMBS[name])
    assert (problem.place.source, problem.place.line >= 1, problem.place.column >= 1) == ("t.yaml", True, True)
    assert work < 10 * MAX_NODES
    assert len(str(problem)) < 500


def test_without_its_limits_the_reader_would_work_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above: what it counts grows with the bomb."""
    monkeypatch.setattr(yaml_reader, "MAX_NODES", 10 * MAX_NODES)
    events = 0
    get_event = Events.get_event

    def counted(self: Events) -> Any:
        nonlocal events
        events += 1
        return get_event(self)

    monkeypatch.setattr(Events, "get_event", counted)
    assert not refusal("- 1\n" * 10 * (MAX_NODES - 1))
    assert events > 9 * MAX_NODES


def test_what_is_just_small_enough_is_read() -> None:
    deepest = MAX_DEPTH
    assert read_yaml("[" * deepest + "]" * deepest, "t.yaml").data is not None
    with pytest.raises(PipelineError, match="levels deep"):
        read_yaml("[" * (deepest + 1) + "]" * (deepest + 1), "t.yaml")
    assert len(read_yaml("- 1\n" * (MAX_NODES - 1), "t.yaml").data) == MAX_NODES - 1


def test_an_excerpt_of_a_long_line_shows_the_column() -> None:
    with pytest.raises(PipelineError) as caught:
        read_yaml("key: " + "x" * 500 + ": 1", "t.yaml")
    line, caret = str(caught.value).splitlines()[1:3]
    assert len(line) < 120
    assert line[caret.index("^")] == ":"


@pytest.mark.parametrize("value", [*SCALARS.values(), "1e3", "0o7", "010", "null", "a: b", "é\n", [1, "x"], {"a": []}])
def test_what_is_written_reads_back(value: object) -> None:
    text = write_yaml({"key": value})
    assert read_yaml(text, "t.yaml").data == {"key": value}
    if value not in (".5", "1e3"):
        assert yaml.safe_load(text) == {"key": value}  # YAML 1.1 agrees
