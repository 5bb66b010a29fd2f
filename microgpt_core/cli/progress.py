"""How a run shows itself: a bar on a terminal, a line now and then elsewhere. All of it goes to stderr."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from microgpt_core.pipeline.runs.run import Reporter
from microgpt_core.training.progress import Step

LINE_EVERY = 5.0  # seconds, where there is no terminal


class ConsoleReporter(Reporter):
    """Headlines and losses on stderr, samples on stdout."""

    def __init__(self, samples_to_stdout: bool = True) -> None:
        self.samples_to_stdout = samples_to_stdout
        self._bar: Any = None
        self._task: Any = None
        self._last_line = time.monotonic()
        self._samples = 0

    def headline(self, text: str) -> None:
        click.echo(text, err=True)

    def step(self, step: Step) -> None:
        if sys.stderr.isatty():
            self._advance(step)
        now = time.monotonic()
        due = not sys.stderr.isatty() and now - self._last_line >= LINE_EVERY
        if step.val_loss is not None or step.step in (1, step.max_steps) or due:
            self._last_line = now
            self._print(describe(step))

    def sample(self, text: str) -> None:
        if self.samples_to_stdout:
            if not self._samples:
                click.echo("", err=True)
            click.echo(text)
        self._samples += 1

    def done(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)

    def _advance(self, step: Step) -> None:
        if self._bar is None:
            from rich.console import Console  # slow to import
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=step.max_steps)
            self._bar.start()
        self._bar.update(
            self._task,
            completed=step.step,
            total=step.max_steps,
            description=f"loss {step.train_loss:.3f}  {speed(step)}",
        )


def describe(step: Step) -> str:
    """`step  100/1000  loss 2.412  val 2.398  1,234 tokens/s  40 s left`."""
    width = len(str(step.max_steps))
    val = f"  val {step.val_loss:.3f}" if step.val_loss is not None else " " * 11
    left = f"  {duration(step.seconds_left)} left" if step.step < step.max_steps else ""
    fast = f"  {speed(step)}" if step.seconds else ""
    return f"step {step.step:{width}d}/{step.max_steps}  loss {step.train_loss:.3f}{val}{fast}{left}"


def speed(step: Step) -> str:
    """`1,234 tokens/s, 12.3% MFU`, the latter where the machine's peak is known."""
    share = "" if step.mfu is None else f", {100 * step.mfu:.3g}% MFU"
    return f"{step.tokens_per_second:,.0f} tokens/s{share}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
