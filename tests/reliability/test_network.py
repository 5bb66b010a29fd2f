"""Nothing but `data get` and `plugins install` goes to the network: no name is looked up, no connection made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Raises at the first event that would leave the machine: what it forbids can't happen while it is tested.
CODE = """
import sys
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        print("NETWORK", event, file=sys.stderr)
        raise OSError("no network here")
sys.addaudithook(hook)
from microgpt_core.cli.main import main
main(sys.argv[1:], prog_name="microgpt")
"""
SHORT = ("--set", "train.max_steps=2", "--set", "generate.num_samples=1", "--set", "dataset.validation=0.01")
COMMANDS = [
    ("--help",),
    ("plan", "names"),
    ("list",),
    ("show", "model", "gpt"),
    ("doctor",),
    ("plugins", "list"),
    ("plugins", "hooks"),
    ("data", "list"),
    ("generate", "run", "-n", "1"),
    ("evaluate", "run"),
]


def microgpt(here: Path, *args: str) -> str:
    """A command's exit code, and what it says on stderr."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MICROGPT_CACHE": str(here / "cache")}
    result = subprocess.run(
        [sys.executable, "-c", CODE, *args], cwd=here, env=environment, capture_output=True, encoding="utf-8",
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return f"{result.returncode} {result.stderr}"


@pytest.mark.slow
def test_no_command_goes_to_the_network_unasked(tmp_path: Path) -> None:
    for command in [("run", "names", "--output", "run", *SHORT), *COMMANDS]:
        said = microgpt(tmp_path, *command)
        assert said[0] in ("1" if command == ("doctor",) else "", "0"), said
        assert "NETWORK" not in said


@pytest.mark.slow
def test_the_check_sees_the_one_that_does(tmp_path: Path) -> None:
    """The control."""
    assert "NETWORK" in microgpt(tmp_path, "data", "get", "ssa-names")
