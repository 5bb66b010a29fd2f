"""The same configuration and seed give the same bits, however often, in whichever process."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import microgpt_core as mg

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "train.max_steps": 6, "train.eval_interval": 3, "dataset.validation": 0.01, "generate.num_samples": 2,
    "model.n_embd": 8,
}  # fmt: skip


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def total(folder: Path) -> str:
    names = ("metrics.jsonl", "samples.txt", "evaluation.json", "model/model.safetensors", "model/config.json")
    return sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()


def test_twenty_repeats() -> None:
    sums = {total(mg.run("names", SETTINGS, force=True).folder) for _ in range(20)}
    assert len(sums) == 1
    assert total(mg.run("names", SETTINGS | {"seed": 2}).folder) not in sums  # the control


@pytest.mark.slow
def test_other_processes_with_other_hashes() -> None:
    sums = set()
    for seed in ("0", "1", "12345"):
        words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "microgpt_core", "run", "names", "--output", seed, *words]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        sums.add(total(Path(seed)))
    assert sums == {total(mg.run("names", SETTINGS, force=True).folder)}
