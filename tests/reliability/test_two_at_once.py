"""Two processes and one folder: the second is refused, and what the first is doing stays whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core.errors import StorageError

ROOT = Path(__file__).parents[2]
SETTINGS = {"train.max_steps": 5000, "train.checkpoint_interval": 3, "dataset.validation": 0.01, "stages": "[train]"}


def begin(folder: Path) -> subprocess.Popen[bytes]:
    """A run in another process, with its first checkpoints made."""
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "microgpt_core", "run", "names", "--output", str(folder), *words]
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and len(list(folder.glob("checkpoints/step-*/manifest.json"))) < 2:
        time.sleep(0.02)
    assert process.poll() is None
    return process


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a signal can't be sent there")
def test_a_run_that_is_going_on_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = begin(folder)
    try:
        planted = folder / "checkpoints" / f".step-000001.tmp-{2**22 + 1}"  # as a process that was killed leaves it
        planted.mkdir()
        for force in (False, True):
            with pytest.raises(StorageError, match="another process is at work in"):
                mg.resume(folder, force=force)
        with pytest.raises(StorageError, match="another process is at work in"):
            mg.run("names", {"seed": 2}, output=folder, force=True)
        assert planted.is_dir()
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    steps = (folder / "metrics.jsonl").read_bytes().count(b"\n")
    assert mg.resume(folder, {"train.max_steps": steps + 2}).result.steps == steps + 2  # the control: now it may
    assert not planted.exists()
