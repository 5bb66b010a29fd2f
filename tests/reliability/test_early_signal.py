"""Ctrl-C before the program has begun, in the middle of its imports: a line and 130, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = """
import runpy, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            raise {error}

sys.meta_path.insert(0, Finder())
sys.argv = ["microgpt", "--version"]
runpy.run_module("microgpt_core", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [("KeyboardInterrupt", 130, "stopped"), ("SystemError", 1, "SystemError")],  # the control: it is in the imports
)
def test_ctrl_c_while_it_is_imported(error: str, code: int, last: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START.format(error=error)], env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert (done.returncode, done.stderr.split()[-1]) == (code, last)
    assert ("Traceback" in done.stderr) == (error != "KeyboardInterrupt")
