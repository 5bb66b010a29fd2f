"""Ctrl-C and SIGTERM: the first ends a run where nothing is lost by it, a second one at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from microgpt_core.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """`with Signals() as signals:` a signal raises Interrupted, and within `signals.held()` only once that is left.

    Only the main thread can do so; elsewhere signals do what they did before.
    """

    def __init__(self) -> None:
        self.received = 0  # the number of the signal; 0: none yet
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Whatever is in this block sees in `received` when it is to end, and ends by itself."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.received:
            raise Interrupted(self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
        if not self._held:
            raise Interrupted(number)
