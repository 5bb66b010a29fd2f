"""What is wrong with a pipeline, and where: every problem of a file is collected, then all are shown together."""

from collections.abc import Sequence
from dataclasses import dataclass

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


class PipelineError(ConfigurationError):
    """All that is wrong with a pipeline, in the order of its lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.place.line, p.place.column))
        count = f"\n\n{len(problems)} problems; nothing was run" if len(problems) > 1 else ""
        super().__init__("\n\n".join(map(str, self.problems)) + count)
