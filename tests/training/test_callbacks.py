"""Callbacks: told of every step, they may ask for a checkpoint or for the end; one that fails is told once."""

import json
import logging
from pathlib import Path

import pytest

from microgpt_core.components import Callback
from microgpt_core.errors import ConfigurationError
from microgpt_core.training.callbacks import StopAt


class Asks(Callback):
    """It asks for the same thing at some steps."""

    def __init__(self, what, *steps: int) -> None:
        self.what, self.steps, self.seen = what, steps, []

    def on_step(self, metrics):
        self.seen.append(dict(metrics))
        if metrics["step"] in self.steps:
            return self.what() if callable(self.what) else self.what
        return None


def train(tiny, folder: Path | None = None, **callbacks: Callback):
    made = tiny()
    settings = {"max_steps": 8, "eval_interval": 3, "checkpoint_interval": 0}
    trainer = made.trainer(settings=settings, folder=folder, validation=made.validation(), callbacks=callbacks)
    return trainer, trainer.train()


def test_it_is_told_what_the_log_is_told(tiny, tmp_path: Path) -> None:
    looks = Asks(None)
    train(tiny, tmp_path, looks=looks)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert looks.seen == [json.loads(line) for line in lines]


def test_it_may_end_the_training(tiny, tmp_path: Path) -> None:
    trainer, result = train(tiny, tmp_path, early=Asks("stop", 5), late=Asks("stop", 7))
    assert (result.steps, result.stopped_by) == (5, "early")
    assert (tmp_path / "checkpoints" / "step-000005").is_dir()
    again = tiny().trainer(settings={"max_steps": 8}, folder=tmp_path, callbacks={"early": Asks("stop", 5)})
    again.restore(tmp_path / "checkpoints" / "step-000005")
    assert again.train().steps == 5  # it asks again, of the step that was the last
    assert trainer.at.best_step == 3


def test_it_may_ask_for_a_checkpoint(tiny, tmp_path: Path) -> None:
    made = tiny()
    seen = []
    trainer = made.trainer(
        settings={"max_steps": 6, "checkpoint_interval": 0}, folder=tmp_path, callbacks={"saves": Asks("save", 2)},
        on_step=lambda step: seen.append(sorted(p.name for p in tmp_path.glob("checkpoints/step-*"))),
    )  # fmt: skip
    trainer.train()
    assert seen[2] == ["step-000002"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: exit(3), "SystemExit: 3"),
        ("halt", "ValueError: on_step returned 'halt'; allowed: 'save', 'stop' and None"),
    ],
)
def test_one_that_fails_is_told_once_and_asked_no_more(what, said: str, tiny, caplog, weights) -> None:
    fails = Asks(what, 2, 4)
    with caplog.at_level(logging.WARNING):
        trainer, result = train(tiny, fails=fails)
    assert [record.getMessage() for record in caplog.records] == [
        f"callback fails failed at step 2 and is left out from now on: {said}"
    ]
    assert (result.steps, len(fails.seen)) == (8, 2)
    assert weights(trainer.model) == weights(train(tiny)[0].model)


@pytest.mark.parametrize(
    ("of", "metrics", "expected"),
    [
        ("validation", {"val/loss": 2.0}, "stop"),
        ("validation", {"val/loss": 2.1}, None),
        ("validation", {"train/loss": 1.0}, None),
        ("train", {"train/loss": 1.0, "val/loss": 3.0}, "stop"),
        ("train", {}, None),  # a step that was skipped
    ],
)
def test_stop_at(of: str, metrics: dict[str, float], expected: str | None) -> None:
    assert StopAt(loss=2.0, of=of).on_step(metrics) == expected


@pytest.mark.parametrize("loss", [0.0, -1.0, float("nan"), float("inf")])
def test_stop_at_refuses(loss: float) -> None:
    with pytest.raises(ConfigurationError, match="allowed: more than 0"):
        StopAt(loss=loss)
