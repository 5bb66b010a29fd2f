"""The dataset `jsonl`: one JSON object a line, of which one field is the document."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from microgpt_core.errors import DataError, nearest
from microgpt_core.text.files import check_encoding
from microgpt_datasets.reading.archives import streams
from microgpt_datasets.reading.decoding import lines
from microgpt_datasets.reading.places import check_paths, find_files
from microgpt_datasets.splitting import ReadInOrder

SHOWN = 8  # fields that an error lists


@dataclass
class JSONLines(ReadInOrder):
    """JSON lines, also in .gz, .zst, .zip and .tar: a document is the text in a field of each object.

    Empty lines are skipped, and texts with nothing but white space.

    Fields:
        path: a file, a folder (its *.jsonl, compressed or not) or a glob such as data/*.jsonl.gz, or a list of them
        field: the field with the text; of an object in the object, outer.inner
        encoding: of the files
    """

    name: ClassVar[str] = "jsonl"

    path: str | list[str]
    field: str = "text"
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_paths(self.path)
        check_encoding(self.encoding)

    def all_documents(self) -> Iterator[str]:
        for file in find_files(self.path, self.base, "**/*.jsonl*"):
            for name, stream in streams(file):
                for number, line in enumerate(lines(stream, self.encoding, name), 1):
                    if line.strip() and (text := self.text_of(line, f"{name}, line {number}")).strip():
                        yield text

    def text_of(self, line: str, place: str) -> str:
        """The text in a line. Raises DataError with its place."""
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            said = getattr(error, "msg", error)  # without its own place, which is always in line 1
            raise DataError(f"{place}: this isn't JSON by itself ({said}); expected an object {{...}} a line") from None
        for step in self.field.split("."):
            if not isinstance(value, dict):
                raise DataError(f"{place}: expected an object {{...}} with the field {step!r}, found {kind(value)}")
            if step not in value:
                known = ", ".join(list(value)[:SHOWN]) or "none"
                said = f"there is no field {step!r}{nearest(step, value)}; there are: {known}"
                raise DataError(f"{place}: {said}. Set `field`")
            value = value[step]
        if not isinstance(value, str):
            inner = [f"{self.field}.{name}" for name in value] if isinstance(value, dict) else []
            hint = f"; set `field`: {', '.join(inner[:SHOWN])}" if inner else ""
            raise DataError(f"{place}: expected text in the field {self.field!r}, found {kind(value)}{hint}")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            found = rf"\u{ord(value[error.start]):x} at position {error.start} of the text"
            what = f"{found} is half a UTF-16 pair, no character"
            raise DataError(f"{place}: {what}; write \\ufffd in its place, or leave the line out") from None
        return value


def kind(value: Any) -> str:
    """What a JSON value is, in a word."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
