"""What a training run leaves behind: metrics, timings, checkpoints, a model."""

import json
import shutil
from pathlib import Path

import pytest

from microgpt_core.errors import CheckpointError, StorageError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.storage.manifest import verify_folder
from microgpt_core.storage.safetensors import read_safetensors
from microgpt_core.training.optimizers import SGD, AdamW
from microgpt_core.training.schedules import Linear
from microgpt_core.training.trainer import Trainer


def lines(path: Path) -> list[dict]:
    data = path.read_bytes()
    assert b"\r" not in data
    return [json.loads(line) for line in data.decode("utf-8").splitlines()]


def run(tiny, folder: Path, settings: dict | None = None, **options) -> Trainer:
    chosen = {"max_steps": 9, "eval_interval": 4, "checkpoint_interval": 2, **(settings or {})}
    trainer = tiny.trainer(folder=folder, settings=chosen, validation=tiny.validation(), **options)
    trainer.train()
    return trainer


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_metrics_are_the_same_bytes_at_each_run(tiny, tmp_path: Path) -> None:
    first = run(tiny(), tmp_path / "a", schedule=Linear(2))
    run(tiny(), tmp_path / "b", schedule=Linear(2))
    run(tiny(seed=6), tmp_path / "c", schedule=Linear(2))
    read = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in "abc"]
    assert read[0] == read[1] != read[2]
    found = lines(tmp_path / "a" / "metrics.jsonl")
    assert [line["step"] for line in found] == list(range(1, 10))
    assert {line["step"] for line in found if "val/loss" in line} == {4, 8, 9}
    assert set(found[0]) == {"step", "tokens", "train/loss", "lr", "grad_norm"}
    assert found[-1]["tokens"] == first.at.tokens
    assert found[0]["lr"] == 0.01


def test_timings_have_their_own_file(tiny, tmp_path: Path) -> None:
    run(tiny(), tmp_path)
    found = lines(tmp_path / "timings.jsonl")
    assert len(found) == 9
    for line in found:
        assert set(line) == {"step", "step_ms", "tokens_per_s", "gflops_per_s", "elapsed_s"}
        assert all(value > 0 for value in line.values())


def test_a_line_is_there_as_soon_as_its_step_is_done(tiny, tmp_path: Path) -> None:
    seen = []
    run(tiny(), tmp_path, on_step=lambda step: seen.append(len(lines(tmp_path / "metrics.jsonl"))))
    assert seen == list(range(1, 10))


@pytest.mark.parametrize(
    ("interval", "keep", "expected"),
    [
        (2, 2, [8, 9]),
        (2, 3, [6, 8, 9]),
        (2, 99, [2, 4, 6, 8, 9]),
        (1, 1, [9]),
        (3, 2, [6, 9]),
        (0, 2, [9]),
        (50, 2, [9]),
    ],
)
def test_checkpoints_come_at_intervals_and_the_oldest_go(tiny, tmp_path: Path, interval, keep, expected) -> None:
    run(tiny(), tmp_path, {"checkpoint_interval": interval, "keep_checkpoints": keep})
    assert names(tmp_path / "checkpoints") == ["best", *(f"step-{step:06d}" for step in expected)]
    assert names(tmp_path) == ["checkpoints", "metrics.jsonl", "model", "timings.jsonl"]


def test_every_folder_is_whole_and_holds_what_it_says(tiny, tmp_path: Path) -> None:
    made = tiny()
    trainer = run(made, tmp_path, {"keep_checkpoints": 9}, saved={"rng": [1, [2, 3], None]}, about={"run": "names"})
    for folder in [*(tmp_path / "checkpoints").iterdir(), tmp_path / "model"]:
        verify_folder(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        step = {"best": trainer.at.best_step, "model": trainer.at.best_step}.get(folder.name) or int(folder.name[-6:])
        assert config["about"] == {"run": "names", "step": str(step)}
    state = json.loads((tmp_path / "checkpoints" / "step-000006" / "trainer.json").read_text(encoding="utf-8"))
    assert state.pop("tokens") == state.pop("last")["tokens"] > 0
    assert state.pop("evaluations") == [[4, state["best_loss"]]]
    assert state.pop("best_loss") > 0
    assert state == {
        "step": 6, "left_out": 0, "best_step": 4, "evaluations_since_best": 0, "logged": True, "rng": [1, [2, 3], None],
    }  # fmt: skip


def test_a_checkpoint_is_the_state_of_its_step(tiny, tmp_path: Path) -> None:
    """Weights and optimizer state are those of a run that ended there."""
    run(tiny(), tmp_path / "long", {"keep_checkpoints": 9})
    short = run(tiny(), tmp_path / "short", {"max_steps": 6, "restore_best": False})
    saved = tmp_path / "long" / "checkpoints" / "step-000006"
    with read_safetensors(saved / "model.safetensors") as found:
        assert {n: x.tobytes() for n, x in found.items()} == {n: x.tobytes() for n, x in short.model.state().items()}
    with read_safetensors(saved / "optimizer.safetensors") as found:
        assert {n: x.tobytes() for n, x in found.items()} == {n: x.tobytes() for n, x in short.update.buffers().items()}


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_model_folder_gives_equal_logits(tiny, tmp_path: Path, precision: str) -> None:
    trainer = run(tiny(precision=precision), tmp_path)
    ours = LanguageModel(trainer.model, trainer.tokenizer).logits([[0, 1, 2, 3]]).tolist()
    assert LanguageModel.load(tmp_path / "model").logits([[0, 1, 2, 3]]).tolist() == ours
    assert LanguageModel.load(tmp_path / "checkpoints" / "best").logits([[0, 1, 2, 3]]).tolist() == ours
    assert trainer.at.best_step == 9 or (
        LanguageModel.load(tmp_path / "checkpoints" / "step-000009").logits([[0, 1, 2, 3]]).tolist() != ours
    )


def test_an_optimizer_without_state_saves_none(tiny, tmp_path: Path) -> None:
    run(tiny(), tmp_path, optimizer=SGD(lr=0.1))
    assert "optimizer.safetensors" not in names(tmp_path / "checkpoints" / "step-000009")
    verify_folder(tmp_path / "checkpoints" / "step-000009")


def test_without_a_folder_nothing_is_written(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = tiny()
    made.trainer(settings={"eval_interval": 2, "checkpoint_interval": 1}, validation=made.validation()).train()
    assert names(tmp_path) == []


def test_what_else_lies_beside_the_checkpoints_stays(tiny, tmp_path: Path) -> None:
    mine = tmp_path / "checkpoints" / "step-mine"
    mine.mkdir(parents=True)
    run(tiny(), tmp_path, {"keep_checkpoints": 1})
    assert names(tmp_path / "checkpoints") == ["best", "step-000009", "step-mine"]


def test_the_old_checkpoint_survives_a_damaged_new_one(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from microgpt_core.saving import checkpoint as module

    save = module.save_checkpoint

    def damaging(path: Path, *args: object) -> None:
        save(path, *args)
        if path.name == "step-000004":
            (path / "trainer.json").write_text("{}", encoding="utf-8")

    monkeypatch.setattr(module, "save_checkpoint", damaging)
    with pytest.raises(CheckpointError, match=r"trainer\.json is damaged"):
        run(tiny(), tmp_path, {"keep_checkpoints": 1})
    verify_folder(tmp_path / "checkpoints" / "step-000002")


def test_a_folder_that_cant_be_written_is_a_storage_error(tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="can't write"):
        run(tiny(), tmp_path / "file")


def test_an_old_checkpoint_that_cant_be_deleted_is_a_storage_error(tiny, tmp_path: Path, monkeypatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        if Path(path).name == "step-000002":
            raise PermissionError(13, "Permission denied")
        delete(path, ignore_errors=True)

    delete = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(StorageError, match="can't delete the old checkpoint .*step-000002"):
        run(tiny(), tmp_path, {"keep_checkpoints": 1}, optimizer=AdamW())
