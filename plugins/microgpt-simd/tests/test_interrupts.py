"""A loop in C looks for signals between its turns: Ctrl-C ends it at once, not after its last turn."""

import subprocess
import sys
from pathlib import Path

import pytest

FILE = str(Path(__file__).parent / "interrupted_loop.py")


@pytest.mark.parametrize(
    ("handler", "expected"),
    [("default", "interrupted True True []"), ("noted", "interrupted True True [True, True]")],
)
def test_a_signal_is_seen_between_turns(handler: str, expected: str) -> None:
    """Some turns were made, most weren't, and denormals are numbers again: afterwards, and inside a handler."""
    command = [sys.executable, FILE, handler]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.stdout.strip() == expected, done.stderr
