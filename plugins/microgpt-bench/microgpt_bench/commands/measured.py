"""From a command's options to a report, and from the report to wherever it was asked for."""

import sys
import time
from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click

from microgpt_bench.bench import Question, bench, no_roof_known
from microgpt_bench.measuring.race import Effort
from microgpt_bench.report.chart import chart
from microgpt_bench.report.markdown import to_markdown
from microgpt_bench.report.notes import notes
from microgpt_bench.report.table import tables
from microgpt_bench.results.result import Report
from microgpt_bench.results.store import as_json as report_json, default_path, save as save_report
from microgpt_bench.roofline.least import least_step
from microgpt_bench.work.kernels import usable_backends
from microgpt_bench.work.step import LONGEST
from microgpt_core.cli.table import print_table
from microgpt_core.errors import ConfigurationError
from microgpt_core.storage.atomic import atomic_write

AUTO = "auto"
LINE_EVERY = 5.0  # seconds, where there is no terminal


def measure(
    kind: str, *, model: tuple[str, ...], backend: tuple[str, ...], precision: tuple[str, ...], threads: int,
    against: tuple[str, ...], rounds: int, processes: int, no_pin: bool, environment: tuple[str, ...] = (),
    vary: tuple[tuple[str, ...], ...] = (), more: Mapping[str, Any] | None = None, no_roof: bool = True,
    longest: float = LONGEST, **_: Any,
) -> Report:  # fmt: skip
    """What the options ask for. Progress goes to stderr."""
    backends = tuple(b.name for b in usable_backends()) if backend == (AUTO,) else backend
    environments = [named_python(text) for text in environment]
    choices = list(product(*vary))
    question = Question(
        kind, model, backends, precision, threads, against, environments, longest, choices, more or {},
        reading=kind == "generate" and not no_roof,
    )  # fmt: skip
    progress = Progress()
    try:
        roof = no_roof_known if no_roof or kind != "step" else partial(least_step, say=progress.say)
        return bench(question, Effort(rounds, processes, pinned=not no_pin), progress.say, roof)
    finally:
        progress.end()


def named_python(text: str) -> tuple[str, str]:
    """NAME=PYTHON as a pair. Raises ConfigurationError where there is no such interpreter."""
    name, equals, python = text.partition("=")
    if not (name and equals and Path(python).is_file()):
        raise ConfigurationError(
            f"--environment {text}: expected NAME=PYTHON, with an interpreter that is there: base=.venv/bin/python"
        )
    return name, python


def show(
    kind: str, report: Report, *, as_json: bool, save: str | None, markdown: Path | None, svg: Path | None, **_: Any
) -> None:
    """Print a report, and write it where that was asked for."""
    if as_json:
        click.echo(report_json(report), nl=False)
    else:
        for headers, rows in tables(report):
            print_table(headers, rows)
            click.echo()
        for note in notes(report):
            click.echo(note)
    if save is not None:
        path = Path(save) if save else default_path(kind)
        save_report(report, path)
        click.echo(f"kept in {path}", err=True)
    for file, text in ((markdown, to_markdown), (svg, chart)):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(file, text(report).encode("utf-8"))
    if not report.results:
        raise ConfigurationError("nothing was measured; see the reasons above")


class Progress:
    """What is going on, on stderr: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.last = -LINE_EVERY

    def say(self, text: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)
        elif time.monotonic() - self.last >= LINE_EVERY:
            self.last = time.monotonic()
            click.echo(text, err=True)

    def end(self) -> None:
        """Leave the line empty for what comes next."""
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)
