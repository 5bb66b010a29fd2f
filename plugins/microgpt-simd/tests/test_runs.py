"""Whole runs on this backend: the same bytes for any number of threads, also of a run that goes on with another."""

import signal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.training.loss import BatchLoss
from microgpt_simd.ops import GlobalNorm
from microgpt_simd.threads import ASKED, asked_threads

SETTINGS: dict[str, Any] = {
    "backend": "simd", "train.max_steps": 14, "train.eval_interval": 5, "train.checkpoint_interval": 6,
    "train.accumulation": 2, "train.batch_size": 8, "train.grad_clip": 0.1, "dataset.validation": 0.002,
    "model.dropout": 0.1, "model.n_embd": 64, "model.n_layer": 1, "model.block_size": 24,
    "optimizer": {"use": "adamw", "lr": 0.02}, "stages": ["train"],
}  # fmt: skip
THREADS = (1, 2, 3, 4, 8)

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sums(folder: Path) -> dict[str, str]:
    """Of the last checkpoint, the model and the metrics: all that training leaves, but for the clock's."""
    paths = [*folder.glob("checkpoints/*/*"), *folder.glob("model/*"), folder / "metrics.jsonl"]
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in paths}


def run(threads: int) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ASKED, str(threads))
        return sums(mg.run("names", SETTINGS, output=f"threads-{threads}", force=True).folder)


def stopped(threads: tuple[int, ...]) -> dict[str, str]:
    """A run that is interrupted in the middle of a step, again and again, and goes on with other threads."""
    inputs = BatchLoss.inputs
    for number, n in enumerate(threads):
        calls = [0]

        def interrupted(*given: Any, calls: list[int] = calls) -> Any:
            calls[0] += 1
            if calls[0] == 4:
                signal.raise_signal(signal.SIGINT)
            return inputs(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(ASKED, str(n))
            patch.setattr(BatchLoss, "inputs", interrupted)
            with pytest.raises(mg.Interrupted):
                _ = mg.resume("stopped") if number else mg.run("names", SETTINGS, output="stopped")
    mg.resume("stopped")
    return sums(Path("stopped"))


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    whole = run(1)
    assert {name for name in whole if name.startswith("checkpoints/")}
    assert {n for n in THREADS if run(n) != whole} == set()


def test_going_on_with_other_threads_gives_the_same_bytes() -> None:
    assert stopped(THREADS) == run(1)


def test_planted_a_norm_of_the_threads_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a norm whose last digit depends on the number of threads changes the weights and the metrics."""
    prepare = GlobalNorm.prepare

    def uneven(self: GlobalNorm, method: str, views: Any, attributes: Any, workspace: Any) -> Any:
        made, norm = prepare(self, method, views, attributes, workspace), views["norm"]

        def call() -> None:
            made()
            norm[0] *= 1 + asked_threads() * 2**-23

        return call

    monkeypatch.setattr(GlobalNorm, "prepare", uneven)
    whole, other = run(1), run(2)
    assert {name for name in whole if other[name] != whole[name]} >= {"metrics.jsonl", "model/model.safetensors"}
    assert stopped(THREADS) != whole
