"""A stranger's code while it is imported: what it prints is told as its own, and it may not take for ever.

It runs in this process all the same. Code that ends the process, or that no exception reaches, is stopped only where
it has a process of its own: probe.py.
"""

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from textwrap import shorten
from typing import Any

from microgpt_core.errors import ConfigurationError

LIMIT = 10.0  # seconds, where hundredths are usual
VARIABLE = "MICROGPT_IMPORT_LIMIT"
SHOWN = 200  # characters of what was printed


def import_limit() -> float:
    """The seconds that loading one pack may take. Raises ConfigurationError."""
    given = os.environ.get(VARIABLE) or str(LIMIT)
    try:
        limit = float(given)
    except ValueError:
        limit = 0.0
    if not 0.0 < limit < threading.TIMEOUT_MAX:
        raise ConfigurationError(f"{VARIABLE}: found {given!r}, allowed: a number of seconds, more than 0")
    return limit


class Said(io.BytesIO):
    """What was printed. Once it has been read, what still comes goes where it would have gone without this."""

    heard = False

    def write(self, data: Any) -> int:
        return sys.stderr.write(bytes(data).decode("utf-8", "replace")) if self.heard else super().write(data)


@contextmanager
def captured() -> Iterator[list[str]]:
    """Catch what is printed inside. Afterwards the list has it, in one line, unless it was nothing."""
    said, lines = Said(), list[str]()
    stream = io.TextIOWrapper(said, encoding="utf-8", errors="replace", write_through=True)
    try:
        with redirect_stdout(stream), redirect_stderr(stream):
            yield lines
    finally:
        said.heard = True
        if text := shorten(said.getvalue().decode("utf-8", "replace"), SHOWN):
            lines.append(text)


class Expired(BaseException):
    """Raised in the code whose time is up: like KeyboardInterrupt, nothing that `except Exception` would catch."""


def within(seconds: float, call: Callable[[], None]) -> None:
    """Call, and raise TimeoutError where that takes longer. Only a main thread can be interrupted; others take their
    time. (No context manager: an exception that comes while one is being left would miss it.)
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        call()
        return
    lock, over, expired = threading.Lock(), False, False

    def interrupt() -> None:
        nonlocal expired
        with lock:
            if not over:
                expired = True
                interrupt_main()

    def handle(number: int, frame: Any) -> None:
        if expired:
            raise Expired
        if callable(before):
            before(number, frame)

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    try:
        try:
            signal.signal(signal.SIGINT, handle)
            timer.start()
            call()
        finally:
            with lock:
                over = True  # from here on nothing is interrupted
    except Expired:
        raise TimeoutError(f"it took longer than {seconds:g} s ({VARIABLE} allows more)") from None
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def interrupt_main() -> None:
    """Do as Ctrl-C does, which also wakes a main thread that waits."""
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
