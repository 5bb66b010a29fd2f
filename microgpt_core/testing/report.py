"""Checks and what they found: one result a check, grouped by component when printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from traceback import extract_tb
from typing import Any, Literal, TypeVar

Subject = TypeVar("Subject")
KIT, CORE = (str(folder) for folder in Path(__file__).parents[:2])


class NotTested(Exception):
    """A check can't be tried here, which says nothing about the component: a missing file, another machine."""


@dataclass(frozen=True)
class Result:
    """How one check of one component ended."""

    component: str  # "op mish"
    check: str  # "derivative"
    state: Literal["passed", "failed", "skipped"]
    notes: list[str]  # what is wrong, or why it wasn't tried


@dataclass(frozen=True)
class Check:
    """One thing that a component promises. `find` yields what is wrong."""

    component: str
    name: str
    find: Callable[[], Iterable[str]]

    def run(self) -> Result:
        try:
            problems = list(self.find())
        except NotTested as reason:
            return Result(self.component, self.name, "skipped", [str(reason)])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's component raises
            problems = [f"{type(error).__name__}: {error} {place(error)}".strip()]
        return Result(self.component, self.name, "failed" if problems else "passed", problems)


@dataclass(frozen=True)
class Report:
    """What all checks found: true where none failed, and printable."""

    title: str
    results: list[Result]

    def __bool__(self) -> bool:
        return not any(r.state == "failed" for r in self.results)

    def __str__(self) -> str:
        failed, passed, skipped = (sum(r.state == s for r in self.results) for s in ("failed", "passed", "skipped"))
        what = f"{failed} of {failed + passed} checks failed" if failed else f"{passed} checks passed"
        what += f", {skipped} skipped" if skipped else ""
        lines = [f"{self.title}: {what}"]
        width = max((len(r.component) for r in self.results), default=0)
        for component, results in groupby(self.results, lambda r: r.component):
            lines += shown(component.ljust(width), list(results))
        return "\n".join(lines)

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        return {"title": self.title, "ok": bool(self), "results": [asdict(r) for r in self.results]}


def shown(component: str, results: Sequence[Result]) -> list[str]:
    """A component's lines: how many checks passed, and what the others say, each thing once."""
    counts = [(state, sum(r.state == state for r in results)) for state in ("passed", "failed", "skipped")]
    lines = [f"  {component}  {', '.join(f'{n} {state}' for state, n in counts if n)}"]
    notes: dict[str, list[str]] = {}
    for r in results:
        for note in r.notes:
            notes.setdefault(note, []).append(r.check)
    for note, names in notes.items():
        others = f" and {len(names) - 1} others" if len(names) > 1 else ""
        lines.append(f"    {names[0]}{others}: {note}")
    return lines


def checks(
    component: str, rules: Iterable[Callable[[Subject], Iterable[str]]], make: Callable[[], Subject]
) -> list[Check]:
    """A check for each rule, on a subject that is made when the first of them runs."""
    subject = cache(make)
    return [Check(component, rule.__name__, lambda rule=rule: rule(subject())) for rule in rules]  # type: ignore[misc]


def place(error: BaseException) -> str:
    """`mish.py:9`: the last line that an exception went through, of the author's where one is."""
    frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith(KIT)]
    theirs = [f for f in frames if not f.filename.startswith(CORE)] or frames
    return f"{Path(theirs[-1].filename).name}:{theirs[-1].lineno}" if theirs else ""
