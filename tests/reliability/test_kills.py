"""Killed at random times, without a word, and resumed: a run ends with the bytes of one that nobody touched."""

import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "train.max_steps": 60, "train.eval_interval": 10, "train.checkpoint_interval": 4, "train.keep_checkpoints": 3,
    "generate.num_samples": 3, "dataset.validation": 0.01, "model.dropout": 0.1,
}  # fmt: skip
CLOCK = ("timings.jsonl", ".lock")


def start(here: Path, *args: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "microgpt_core", "run", *args]
    return subprocess.Popen(
        command, cwd=here, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def arguments(folder: Path) -> list[str]:
    """What goes on with the run in a folder, or begins it."""
    if folder.exists():
        return ["--resume", str(folder)]
    return [
        "names",
        "--output",
        str(folder),
        *(w for key, value in SETTINGS.items() for w in ("--set", f"{key}={value}")),
    ]


def killed(folder: Path, seconds: float) -> bool:
    """Run for so long, then kill. False where the run was done by then."""
    process = start(folder.parent, *arguments(folder))
    try:
        said = process.communicate(timeout=seconds)[1].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, said
    return False


def files(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    contents = {name: path.read_bytes() for name, path in found.items() if name not in CLOCK}
    contents["environment.json"] = re.sub(rb'"began": [\d.]+', b'"began": 0', contents["environment.json"])
    contents["stages.json"] = re.sub(rb'"seconds": [\d.]+', b'"seconds": 0', contents["stages.json"])
    return contents


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert not killed(folder, 300)
    return files(folder)


def run_to_its_end(folder: Path, rng: Random) -> int:
    """How often it had to be killed."""
    kills = 0
    while killed(folder, rng.uniform(0.2, 2.5)):
        kills += 1
    return kills


@pytest.mark.slow
def test_a_few_kills(whole: dict[str, bytes], tmp_path: Path) -> None:
    kills = sum(run_to_its_end(tmp_path / f"run-{seed}", Random(seed)) for seed in range(2))
    assert kills >= 2
    for folder in tmp_path.glob("run-*"):
        assert files(folder) == whole


@pytest.mark.long
def test_a_thousand_kills(whole: dict[str, bytes], tmp_path: Path) -> None:
    rng, kills, runs = Random(1), 0, 0
    while kills < 1000:
        folder = tmp_path / f"run-{runs}"
        kills += run_to_its_end(folder, rng)
        assert files(folder) == whole, f"run {runs}, after {kills} kills"
        runs += 1
    print(f"{kills} kills in {runs} runs, every one of them resumed to the same bytes")
