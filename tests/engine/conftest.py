"""What the engine's tests share: a Python of their own."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def run_python() -> Callable[..., str]:
    """What a fresh Python prints. Nobody counts its lines: that would take memory and time of its own."""

    def run(source: str, **environment: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        command = [sys.executable, "-c", source]
        process = subprocess.run(command, capture_output=True, text=True, env=kept | environment, timeout=300)
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run
