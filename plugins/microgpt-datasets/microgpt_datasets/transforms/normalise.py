"""One spelling for what looks the same: a Unicode form, and white space that is nothing but spaces and line ends."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from microgpt_core.components import Transform
from microgpt_core.components.text import Split
from microgpt_core.errors import UnknownNameError
from microgpt_core.text.normal import FORMS, Form, normalized

WHITE_SPACE = ("keep", "collapse", "one-line")
AROUND_LINE_END = re.compile(r"[^\S\n]*\n[^\S\n]*")
IN_A_LINE = re.compile(r"[^\S\n]+")
EMPTY_LINES = re.compile(r"\n{3,}")


@dataclass
class Normalise(Transform):
    """Text in a Unicode form, with its white space as `space` says.

    Fields:
        form: NFC puts letters and accents together; NFKC also turns wide, narrow and joined letters into plain ones
        space: keep: as it is; collapse: one space between words, no more than one empty line; one-line: no line end
    """

    name: ClassVar[str] = "normalise"
    examples: ClassVar[list[dict[str, str]]] = [{}, {"form": "NFKC", "space": "collapse"}, {"space": "one-line"}]

    form: Form = "NFC"
    space: Literal["keep", "collapse", "one-line"] = "keep"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UnknownNameError("form", self.form, FORMS)
        if self.space not in WHITE_SPACE:
            raise UnknownNameError("space", self.space, WHITE_SPACE)

    def apply(self, texts: Iterable[str], split: Split) -> Iterator[str]:
        return (self.normal(text) for text in texts)

    def normal(self, text: str) -> str:
        text = normalized(text, self.form)
        if self.space == "one-line":
            return " ".join(text.split())
        if self.space == "collapse":
            text = IN_A_LINE.sub(" ", AROUND_LINE_END.sub("\n", text))
            return EMPTY_LINES.sub("\n\n", text).strip()
        return text
