"""A YAML text as plain data that remembers where it stood: strict, safe and bounded.

It reads the parser's events itself and makes nothing but str, int, float, bool, None, list and dict. Scalars
are YAML 1.2's: `3e-4` is a number, `no` a string, `010` ten. Duplicate keys, tags, anchors, aliases, merge keys and
bare texts over several lines are problems. What the data means is no business of this module.
"""

import re
from collections.abc import Callable
from typing import Any

import yaml
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from microgpt_core.pipeline.reading.problems import PipelineError, Place, Problem

Location = tuple[str | int, ...]  # ("model", "n_layer"), ("generate", "prompts", 0)

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 3_000  # a pipeline with every key written out has 150; more than this takes longer to read than 50 ms

# The core schema of YAML 1.2. The order matters: every int looks like a float.
SCALARS: list[tuple[re.Pattern[str], Callable[[str], Any]]] = [
    (re.compile(r"|~|null|Null|NULL"), lambda text: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)"), lambda text: float(text.replace(".", ""))),
    (re.compile(r"\.(nan|NaN|NAN)"), lambda text: float("nan")),
]

# What PyYAML says -> what that usually means. The first that is contained in the message is taken; %d is the
# line in which the construct began.
PLAIN_WORDS = [
    ("'\\t' that cannot start any token", "a tab; YAML is indented with spaces"),
    (
        "mapping values are not allowed here",
        "no `key:` can stand here; check the indentation, or put the text in quotes",
    ),
    ("could not find expected ':'", "expected `key: value`; a colon is followed by a space"),
    ("expected <block end>", "this line doesn't line up with those above; the keys of a section start in one column"),
    ("expected ',' or '}'", "expected `,` or `}`: a comma is missing, or the { in line %d isn't closed"),
    ("expected ',' or ']'", "expected `,` or `]`: a comma is missing, or the [ in line %d isn't closed"),
    ("expected the node content", "a value is missing here"),
    ("while scanning an a", "a text can't start with * or &; put it in quotes"),  # an alias or an anchor
    ("unknown escape character", "a backslash in double quotes starts an escape; use single quotes"),
    ("expected escape sequence", "a backslash in double quotes starts an escape; use single quotes"),  # C:\Users
    ("while scanning a quoted scalar", "this quote isn't closed"),
    ("that cannot start any token", "a text can't start with this character; put it in quotes"),
    ("sequence entries are not allowed here", "a list item can't start here; start a new line"),
    ("did not find expected <document start>", "expected the pipeline's keys; remove what stands here"),
]
AT_THE_START = ("could not find expected ':'", "end of stream")  # PyYAML's place is further down than the mistake


class Document:
    """Plain data, and the places of its keys and values."""

    def __init__(self, source: str, text: str) -> None:
        self.source, self.text = source, text
        self.lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)  # where PyYAML counts lines
        self.data: Any = None
        self.keys: dict[Location, Place] = {}
        self.values: dict[Location, Place] = {}
        self.problems: list[Problem] = []

    def place(self, line: int, column: int) -> Place:
        """From a line and a column that count from 0."""
        line = min(line, len(self.lines) - 1)
        return Place(self.source, line + 1, min(column, len(self.lines[line])) + 1, self.lines[line])

    def where(self, path: Location, key: bool = False) -> Place:
        """Where the value at `path`, or its key, stands; what isn't there stands at its section, or at the start."""
        places = self.keys if key else self.values
        known = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in places), None)
        return places[known] if known else self.place(0, 0)

    def problem(self, path: Location, message: str, key: bool = False) -> None:
        """Note that something is wrong with the value at `path`, or with its key."""
        name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        self.problems.append(Problem(self.where(path, key), f"{name}: {message}" if name else message))


def read_yaml(text: str, source: str) -> Document:
    """The document in a text; it lists its lesser problems. Raises PipelineError where it is no YAML, or too large."""
    document = Document(source, text)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PipelineError([Problem(document.place(0, 0), f"the text is larger than {MAX_BYTES:,} bytes")])
    try:
        Builder(document, Events(text)).read()
    except ReaderError as error:
        before = re.split("\r\n|[\r\n\x85\u2028\u2029]", text[: error.position])
        place = document.place(len(before) - 1, len(before[-1]))
        raise PipelineError(
            [*document.problems, Problem(place, f"the character {chr(error.character)!r} isn't allowed")]
        ) from None
    except yaml.MarkedYAMLError as error:
        raise PipelineError([*document.problems, syntax_problem(document, error)]) from None
    return document


def syntax_problem(document: Document, error: yaml.MarkedYAMLError) -> Problem:
    said = f"{error.context or ''}: {error.problem or ''}".lstrip(": ")
    began, found = error.context_mark or error.problem_mark, error.problem_mark or error.context_mark
    if began is None or found is None:
        return Problem(document.place(0, 0), said)
    message = next((plain for words, plain in PLAIN_WORDS if words in said), said)
    mark = began if any(words in said for words in AT_THE_START) else found
    return Problem(document.place(mark.line, mark.column), message.replace("%d", str(began.line + 1)))


class Events(Reader, Scanner, Parser):
    """PyYAML's pure Python parser, up to its events; the depth is checked while scanning, where it costs."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        check_depth(self.flow_level, self.get_mark())
        super().fetch_flow_collection_start(TokenClass)


def check_depth(depth: int, mark: Any) -> None:
    if depth >= MAX_DEPTH:
        raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels deep", problem_mark=mark)


class Builder:
    """Data out of events, recursively: the depth is bounded."""

    def __init__(self, document: Document, events: Events) -> None:
        self.document, self.events = document, events
        self.nodes = 0
        self.continued: list[Any] = []  # bare texts over several lines: what follows may be the graver problem

    def next(self) -> Any:
        return self.events.get_event()  # type: ignore[no-untyped-call]

    def peek(self) -> Any:
        return self.events.peek_event()  # type: ignore[no-untyped-call]

    def read(self) -> None:
        self.next()  # the stream's start
        if isinstance(self.next(), yaml.StreamEndEvent):
            self.document.values[()] = self.document.place(0, 0)
            return
        self.document.data = self.value((), 0)
        self.next()  # the document's end
        after = self.next()
        if isinstance(after, yaml.DocumentStartEvent):
            self.problem(after, "a second document starts here; a file holds one pipeline")
        for event in self.continued:
            self.problem(event, "this goes on in the next line; check the indentation there, or use quotes")

    def value(self, path: Location, depth: int) -> Any:
        event = self.next()
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_NODES:,} values", problem_mark=event.start_mark)
        self.document.values[path] = self.document.place(event.start_mark.line, event.start_mark.column)
        if tag := getattr(event, "tag", None):
            self.problem(event, f"the tag {tag!r}: a pipeline has no tags, write the plain value")
        elif event.anchor is not None:
            self.problem(event, "anchors (&) and aliases (*) aren't allowed; write the value out, or put it in quotes")
        if isinstance(event, yaml.CollectionStartEvent):
            check_depth(depth, event.start_mark)
            return (
                self.mapping(path, depth) if isinstance(event, yaml.MappingStartEvent) else self.sequence(path, depth)
            )
        return self.scalar(event) if isinstance(event, yaml.ScalarEvent) else None

    def mapping(self, path: Location, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(self.peek(), yaml.MappingEndEvent):
            key = self.peek()
            name = self.key(key, (*path, "?"), depth)
            if name in found:
                first = self.document.keys[*path, name].line
                self.problem(key, f"{name!r} is here twice; the first is in line {first}")
            else:
                self.document.keys[*path, name] = self.document.place(key.start_mark.line, key.start_mark.column)
            value = self.value((*path, name), depth + 1)
            found.setdefault(name, value)
        self.next()
        return found

    def key(self, event: Any, path: Location, depth: int) -> str:
        """A key's text, whatever it looks like: `on:` and `1:` are words here."""
        self.value(path, depth + 1)
        if not isinstance(event, yaml.ScalarEvent):
            self.problem(event, "a key is a word, not a list or a mapping")
            return "?"
        if event.value == "<<" and event.style is None:
            self.problem(event, "merge keys (<<) aren't allowed; write the keys out")
        return str(event.value)

    def sequence(self, path: Location, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(self.peek(), yaml.SequenceEndEvent):
            found.append(self.value((*path, len(found)), depth + 1))
        self.next()
        return found

    def scalar(self, event: Any) -> Any:
        if event.style is not None:  # in quotes, or a block of text
            return event.value
        if event.start_mark.line != event.end_mark.line:
            self.continued.append(event)
        for pattern, convert in SCALARS:
            if pattern.fullmatch(event.value):
                try:
                    return convert(event.value)
                except ValueError:  # Python's bound on the digits of an int
                    self.problem(event, "a number of this many digits isn't allowed")
                    return None
        return event.value

    def problem(self, event: Any, message: str) -> None:
        place = self.document.place(event.start_mark.line, event.start_mark.column)
        self.document.problems.append(Problem(place, message))
