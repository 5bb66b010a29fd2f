"""How far learning is, on stderr: one line that changes on a terminal, a line every few seconds elsewhere."""

import sys
import time

import click

BETWEEN = 0.1  # seconds, on a terminal
LINE_EVERY = 5.0  # seconds, elsewhere
WORDS = {"reading": "texts read", "merging": "merges"}


class Progress:
    """What `train_merges` calls."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._last = time.monotonic()

    def __call__(self, doing: str, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._last < (BETWEEN if self._on_terminal else LINE_EVERY):
            return
        self._last = now
        said = f"{done:,} of {of:,} {WORDS.get(doing, doing)}" if of else f"{done:,} {WORDS.get(doing, doing)}"
        click.echo(f"\r\x1b[K{said}" if self._on_terminal else said, err=True, nl=not self._on_terminal)

    def end(self) -> None:
        """Leave the line empty for what comes next."""
        if self._on_terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
