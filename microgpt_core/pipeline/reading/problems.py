"""What is wrong with a pipeline, and where: every problem of a file is collected, then all are shown together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt_core.errors import ConfigurationError

WIDTH = 100  # of the excerpt of a line that is shown


@dataclass(frozen=True)
class Place:
    """A spot in a text. Lines and columns count from 1; line 0 is the command line, which has none."""

    source: str
    line: int
    column: int
    text: str  # the whole line

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    @property
    def folder(self) -> Path:
        """Where relative paths that stand here start: the file's folder; for the command line, the current one."""
        return Path(self.source).parent if self.line else Path()

    @property
    def excerpt(self) -> str:
        """The line, and a caret under the column; of a long line the part around it."""
        cut = max(0, self.column - 1 - WIDTH // 2) if len(self.text) > WIDTH else 0
        shown = self.text[cut : cut + WIDTH].replace("\t", " ")
        margin = f"{self.line:>5} | " if self.line else "      | "
        return f"{margin}{shown}\n      | {' ' * (self.column - 1 - cut)}^"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: found, allowed, and the nearest name, in a sentence."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}\n{self.place.excerpt}"

    def to_dict(self) -> dict[str, Any]:
        """For an editor. The command line has line 0."""
        return {
            "file": self.place.source,
            "line": self.place.line,
            "column": self.place.column,
            "message": self.message,
        }


class PipelineError(ConfigurationError):
    """All that is wrong with a pipeline, in the order of its lines; what stands on the command line comes first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.place.line > 0, p.place.source, p.place.line, p.place.column))
        count = f"\n\n{len(problems)} problems; nothing was run" if len(problems) > 1 else ""
        super().__init__("\n\n".join(map(str, self.problems)) + count)
