"""docs/reference/ says what the program says."""

import os
import subprocess
import sys
from pathlib import Path

import microgpt_core

ROOT = Path(__file__).resolve().parents[2]


def test_reference_is_up_to_date() -> None:
    command = [sys.executable, "scripts/make_reference.py", "--check"]
    environment = os.environ | {"PYTHONPATH": str(Path(microgpt_core.__file__).parents[1])}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}run: python scripts/make_reference.py"
