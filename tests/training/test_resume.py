"""Stopped and resumed, however often and wherever: the same bytes in every file as if it had never been stopped."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from random import Random

import pytest

from microgpt_core.components import flat
from microgpt_core.errors import CheckpointError, StorageError
from microgpt_core.saving import checkpoint as checkpoint_module
from microgpt_core.saving.checkpoint import BEST, newest_checkpoint
from microgpt_core.training.optimizers import SGD, Adam, AdamW
from microgpt_core.training.progress import Progress
from microgpt_core.training.schedules import Cosine
from microgpt_core.training.trainer import Trainer

SETTINGS = {"max_steps": 12, "eval_interval": 3, "checkpoint_interval": 4, "accumulation": 2, "patience": 3}


def make(tiny, folder: Path, **options) -> Trainer:
    """Two batches a step, ten documents: three steps see every document about once."""
    made = tiny(precision="float32", **options.pop("tiny", {}))
    settings = SETTINGS | options.pop("settings", {})
    chosen = {"optimizer": AdamW(lr=0.05), "schedule": Cosine(2), **options}
    return made.trainer(
        folder=folder, settings=settings, validation=made.validation(), model=made.model(dropout=0.1), **chosen
    )


def files(folder: Path) -> dict[str, bytes]:
    """What must be the same: everything but the clock's."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "timings.jsonl"}


def at_calls(*numbers: int) -> Callable[[], bool]:
    """An `interrupted` that says so at these of its calls: one after each step, one after a batch of an evaluation."""
    calls: Iterator[int] = iter(range(10**6))
    return lambda: next(calls) in numbers


def until_done(tiny, folder: Path, rng: Random | None = None) -> int:
    """Train, stopped at random calls, resumed each time. Returns how often it was stopped."""
    for stops in range(1000):
        trainer = make(tiny, folder, interrupted=at_calls(*([rng.randrange(4)] if rng else [])))
        if saved := newest_checkpoint(folder):
            trainer.restore(saved)
        if trainer.train().stopped_by != "signal":
            return stops
    raise AssertionError("it never ended")


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    make(tiny, folder).train()
    return folder


@pytest.fixture
def whole(finished: Path, tmp_path: Path) -> dict[str, bytes]:
    """What is in the folder of a run that nobody stopped; a copy lies beside the others."""
    return files(shutil.copytree(finished, tmp_path / "whole"))


@pytest.mark.parametrize("call", range(20))
def test_stopped_once_wherever_it_is(call: int, whole, tiny, tmp_path: Path) -> None:
    trainer = make(tiny, tmp_path / "run", interrupted=at_calls(call))
    result = trainer.train()
    assert result.stopped_by == "signal"
    assert result.steps <= 12
    assert not (tmp_path / "run" / "model").exists()
    assert until_done(tiny, tmp_path / "run") == 0
    assert files(tmp_path / "run") == whole


@pytest.mark.parametrize("seed", range(5))
def test_stopped_again_and_again(seed: int, whole, tiny, tmp_path: Path) -> None:
    assert until_done(tiny, tmp_path / "run", Random(seed)) >= 10
    assert files(tmp_path / "run") == whole


def test_a_second_look_at_the_end_does_nothing(whole, tiny, tmp_path: Path) -> None:
    seen = []
    again = make(tiny, tmp_path / "whole", on_step=seen.append)
    again.restore(tmp_path / "whole" / "checkpoints" / "step-000012")
    result = again.train()
    assert (seen, result.stopped_by, result.steps) == ([], "max_steps", 12)
    assert files(tmp_path / "whole") == whole


def test_it_may_go_on_for_longer(tiny, tmp_path: Path) -> None:
    make(tiny, tmp_path / "long", settings={"max_steps": 20, "patience": None}, schedule=None).train()
    make(tiny, tmp_path / "run", schedule=None).train()
    more = make(tiny, tmp_path / "run", settings={"max_steps": 20, "patience": None}, schedule=None)
    more.restore(tmp_path / "run" / "checkpoints" / "step-000012")
    more.train()
    names = ("metrics.jsonl", "model/model.safetensors", "checkpoints/step-000020/optimizer.safetensors")
    found, expected = files(tmp_path / "run"), files(tmp_path / "long")
    assert found["model/model.safetensors"] == expected["model/model.safetensors"]
    lines = [[json.loads(line) for line in side["metrics.jsonl"].splitlines()] for side in (found, expected)]
    assert lines[0][-1]["val/loss"] == lines[1][-1]["val/loss"]
    assert {name: found[name] for name in names[1:]} == {name: expected[name] for name in names[1:]}


# Every part of the state -> what loses it.
def forget_weights(trainer: Trainer) -> None:
    flat(trainer.model.wte.weight.data)[0] += 1e-3


def forget_moments(trainer: Trainer) -> None:
    for buffer in trainer.update.buffers().values():
        flat(buffer)[0] = 0.0


def forget_best(trainer: Trainer) -> None:
    trainer.best = {}


LOSSES: dict[str, Callable[[Trainer], None]] = {
    "weights": forget_weights, "moments": forget_moments, "best weights": forget_best,
    "last": lambda trainer: setattr(trainer, "last", None),
} | {
    field.name: lambda trainer, field=field: setattr(trainer.at, field.name, getattr(Progress(), field.name))
    for field in fields(Progress) if field.name != "last"
}  # fmt: skip


@pytest.mark.parametrize("lost", list(LOSSES))
def test_nothing_in_a_checkpoint_is_there_for_nothing(lost: str, tiny, tmp_path: Path) -> None:
    """The control: without any one part of it, the run ends otherwise, somewhere."""
    settings = {"eval_interval": 2, "patience": 2, "max_steps": 20}
    differs = False
    for call in (3, 7, 12):
        for name, forget in (("kept", lambda trainer: None), ("lost", LOSSES[lost])):
            folder = tmp_path / f"{name}-{call}"
            first = make(tiny, folder, interrupted=at_calls(call), settings=settings, optimizer=AdamW(lr=0.3))
            first.at.left_out = 3
            first.train()
            second = make(tiny, folder, settings=settings, optimizer=AdamW(lr=0.3))
            second.restore(newest_checkpoint(folder))
            forget(second)
            try:
                second.train()
            except AssertionError:  # without its last step it can't even begin
                assert name == "lost"
        differs |= files(tmp_path / f"kept-{call}") != files(tmp_path / f"lost-{call}")
    assert differs


def test_killed_without_a_word(whole, tiny, tmp_path: Path) -> None:
    """Metrics are ahead of the newest checkpoint, and end in the middle of a line."""
    trainer = make(tiny, tmp_path / "run")
    trainer.on_step = lambda step: 1 / 0 if step.step == 7 else None
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 8, "tok')
    assert until_done(tiny, tmp_path / "run") == 0
    assert files(tmp_path / "run") == whole


@pytest.mark.parametrize("call", [2, 6, 8])
def test_killed_after_it_went_on_from_a_signal(call: int, whole, tiny, tmp_path: Path) -> None:
    """The checkpoint was made before the line of its step, which was written later: once is enough."""
    make(tiny, tmp_path / "run", interrupted=at_calls(call)).train()
    newest = newest_checkpoint(tmp_path / "run")
    again = make(tiny, tmp_path / "run", on_step=lambda step: 1 / 0)
    again.restore(newest)
    with pytest.raises(ZeroDivisionError):
        again.train()
    assert newest_checkpoint(tmp_path / "run") == newest
    assert until_done(tiny, tmp_path / "run") == 0
    assert files(tmp_path / "run") == whole


@pytest.mark.parametrize("name", ["trainer.json", "optimizer.safetensors", "best.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    name: str, whole, tiny, tmp_path: Path, caplog
) -> None:
    folder = tmp_path / "run"
    make(tiny, folder, interrupted=at_calls(15)).train()
    newest, older = [folder / "checkpoints" / f"step-{n:06d}" for n in (10, 8)]
    assert newest_checkpoint(folder) == newest
    data = bytearray((newest / name).read_bytes())
    data[len(data) // 2] ^= 1
    (newest / name).write_bytes(data)
    assert newest_checkpoint(folder) == older
    assert f"{newest}: " in caplog.text
    assert "is damaged" in caplog.text
    assert "going back to the one before" in caplog.text
    shutil.rmtree(folder / "checkpoints" / "damaged-step-000010")
    assert until_done(tiny, folder) == 0
    assert files(folder) == whole


def test_with_every_checkpoint_damaged_there_is_none(tiny, tmp_path: Path, caplog) -> None:
    make(tiny, tmp_path).train()
    for path in (tmp_path / "checkpoints").glob("step-*"):
        (path / "config.json").unlink()
        (path.with_name(f"damaged-{path.name}")).mkdir()  # from another time
    assert newest_checkpoint(tmp_path) is None
    assert caplog.text.count("config.json is missing") == 2


def test_a_damaged_checkpoint_that_cant_be_renamed_is_a_storage_error(tiny, tmp_path: Path, monkeypatch) -> None:
    make(tiny, tmp_path).train()
    (tmp_path / "checkpoints" / "step-000012" / "config.json").unlink()

    def refuse(*args: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(checkpoint_module.os, "replace", refuse)
    with pytest.raises(StorageError, match=r"can't rename .*step-000012: Read-only file system"):
        newest_checkpoint(tmp_path)


def test_another_model_tokenizer_or_optimizer_is_refused(tiny, weights, tmp_path: Path) -> None:
    make(tiny, tmp_path).train()
    saved = tmp_path / "checkpoints" / "step-000012"
    larger = tiny(precision="float32").model(n_embd=12)
    for options, said in (
        ({"model": larger}, r"config\.json: dropout is 0\.1, but the run says 0\.0"),
        (
            {"model": tiny(precision="float64").model(dropout=0.1)},
            r"model\.safetensors: .* float32.*, expected .*float64",
        ),
    ):
        made = tiny(precision="float32")
        trainer = made.trainer(settings=SETTINGS, optimizer=Adam(lr=0.1), **options)
        before = repr(weights(trainer.model))
        with pytest.raises(CheckpointError, match=said):
            trainer.restore(saved)
        assert repr(weights(trainer.model)) == before
    sgd = make(tiny, tmp_path / "other", optimizer=SGD(lr=0.1))
    with pytest.raises(CheckpointError, match=r"model\.safetensors|optimizer"):
        sgd.restore(saved)
    renamed = make(tiny, tmp_path / "other")
    renamed.tokenizer = tiny().tokenizer().train(["abcdefgh"])
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: this is another tokenizer than the run's"):
        renamed.restore(saved)


def test_the_best_weights_are_saved_once(tiny, tmp_path: Path) -> None:
    """Where the present weights are the best ones, or none are to come back, there is no second file of them."""
    make(tiny, tmp_path / "a", settings={"restore_best": False}).train()
    assert not list((tmp_path / "a").rglob(BEST))
    make(tiny, tmp_path / "b", settings={"eval_interval": 4}, interrupted=at_calls(12)).train()
    for path in (tmp_path / "b").glob("checkpoints/step-*"):
        state = json.loads((path / "trainer.json").read_text(encoding="utf-8"))
        assert (path / BEST).exists() == (0 < state["best_step"] < state["step"])
