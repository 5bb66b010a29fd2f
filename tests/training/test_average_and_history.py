"""What evaluation looks at and leaves: an average in the weights' place, and losses that a schedule goes by."""

import json
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import pytest

from microgpt_core.components import Op, Rule, flat, write
from microgpt_core.ops import OPS
from microgpt_core.saving.checkpoint import newest_checkpoint
from microgpt_core.storage.safetensors import read_safetensors
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import SGD
from microgpt_core.training.schedules import WarmUp
from microgpt_core.training.update import Update


class Halfway(Op):
    """a <- (a + w) / 2: an average of the weights, which reads w and moves only its state."""

    mutates = ("a",)

    def shapes(self, w, grad, factor, lr, step, a):
        self.expect("a", a, w)
        return {}

    def forward(self, w, grad, factor, lr, step, a):
        if isfinite(factor[0]):
            write(a, [0.5 * (x + y) for x, y in zip(flat(a), flat(w))])


@dataclass
class Averaged(SGD):
    average = "a"

    def rules(self, name, shape, decay):
        return [*super().rules(name, shape, decay), Rule("halfway", {"a": "like w"})]

    @property
    def updates(self):
        return ["sgd_update", "halfway"]


@dataclass
class Halving(WarmUp):
    """Half the rate after each evaluation that was no better than the one before."""

    name = "halving"

    def factor(self, step: int, max_steps: int) -> float:
        losses = [loss for at, loss in self.evaluations if at <= step]
        return 0.5 ** sum(b >= a for a, b in zip(losses, losses[1:]))


class Flat(WarmUp):
    name = "flat"

    def factor(self, step: int, max_steps: int) -> float:
        return 1.0


UPDATE_OPS = {**OPS, "halfway": Halfway()}
SETTINGS = {"max_steps": 12, "eval_interval": 2, "checkpoint_interval": 5, "keep_checkpoints": 9}


def make(tiny, folder=None, settings=None, schedule=None, **others):
    made = tiny(precision="float32")
    return made.trainer(
        folder=folder, validation=made.validation(), optimizer=Averaged(lr=4.0, momentum=0.5), update_ops=UPDATE_OPS,
        schedule=schedule or Halving(), settings={**SETTINGS, **(settings or {})}, **others,
    )  # fmt: skip


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def tensors(path: Path) -> dict[str, bytes]:
    with read_safetensors(path) as saved:
        return {name: x.tobytes() for name, x in saved.items()}


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    make(tiny, folder).train()
    return folder


def test_the_loss_is_the_average_s_and_the_weights_own_stands_beside_it(tiny) -> None:
    trainer = make(tiny, settings={"max_steps": 2, "restore_best": False})
    kept: list[tuple[float, float]] = []
    trainer.on_step = lambda step: kept.append((step.val_loss, step.raw_loss)) if step.val_loss else None
    result = trainer.train()
    assert trainer.update.average()  # which the model is now
    for name, x in trainer.update.average().items():
        assert trainer.model.state()[name].tobytes() == x.tobytes()
    (of_average, of_weights) = kept[0]
    assert of_average == pytest.approx(BatchLoss(trainer.model).evaluate(trainer.validation), rel=1e-9)
    assert result.val_loss == of_average != of_weights


def test_evaluating_leaves_the_weights_as_they_were(tiny, tmp_path: Path) -> None:
    """To the bit, however often: training goes the same way as with one look at the end."""
    for often, name in ((1, "often"), (12, "once")):
        make(tiny, tmp_path / name, settings={"eval_interval": often}, schedule=Flat()).train()
    last = Path("checkpoints", "step-000012")
    for file in ("model.safetensors", "optimizer.safetensors"):
        assert tensors(tmp_path / "often" / last / file) == tensors(tmp_path / "once" / last / file)


def test_planted_weights_that_are_not_put_back(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(self):
        manager = original(self)
        manager.__enter__()
        kept.append(manager)  # and never leaves, not even when it is collected
        return Nothing()

    original, kept = Update.averaged, []
    monkeypatch.setattr(Update, "averaged", careless)
    with pytest.raises(AssertionError):
        test_evaluating_leaves_the_weights_as_they_were(tiny, tmp_path)


class Nothing:
    def __enter__(self):
        return None

    def __exit__(self, *how):
        return None


def test_a_checkpoint_has_the_weights_the_best_and_the_last_model_the_average(whole: Path) -> None:
    checkpoint = whole / "checkpoints" / "step-000010"
    weights, state = tensors(checkpoint / "model.safetensors"), tensors(checkpoint / "optimizer.safetensors")
    average = {name.removesuffix(".a"): x for name, x in state.items() if name.endswith(".a")}
    assert average.keys() == weights.keys()
    assert average != weights
    best = min((line for line in lines(whole) if "val/loss" in line), key=lambda line: line["val/loss"])
    assert tensors(whole / "model" / "model.safetensors") == tensors(
        whole / "checkpoints" / "best" / "model.safetensors"
    )
    config = json.loads((whole / "model" / "config.json").read_text(encoding="utf-8"))
    assert str(int(best["step"])) in json.dumps(config)
    assert [line["step"] for line in lines(whole) if "val/raw_loss" in line] == [2, 4, 6, 8, 10, 12]


def test_the_schedule_sees_every_evaluation(whole: Path) -> None:
    """The rates in the log are those that the losses in the log come to."""
    found, schedule, seen = lines(whole), Halving(), []
    for line in found:
        schedule.evaluations = list(seen)
        assert line["lr"] == 4.0 * schedule.factor(line["step"] - 1, 12)
        if "val/loss" in line:
            seen.append((line["step"], line["val/loss"]))
    assert len({line["lr"] for line in found}) > 1  # or it would say nothing


@pytest.mark.parametrize("at", range(0, 30, 2))
def test_stopped_wherever_it_goes_on_with_the_same_bits(at: int, whole: Path, tiny, tmp_path: Path) -> None:
    """Between two evaluations, in the middle of one, right after the best."""
    calls = iter(range(10**6))
    result = make(tiny, tmp_path, interrupted=lambda: next(calls) == at).train()
    again = make(tiny, tmp_path)
    again.restore(newest_checkpoint(tmp_path))
    again.train()
    assert result.stopped_by == "signal"
    assert (tmp_path / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    for name in ("model", "checkpoints/best", "checkpoints/step-000012"):
        for file in (whole / name).glob("*.safetensors"):
            assert tensors(tmp_path / name / file.name) == tensors(file)


def test_planted_a_history_that_is_forgotten(whole: Path, tiny, tmp_path: Path) -> None:
    calls = iter(range(10**6))
    make(tiny, tmp_path, interrupted=lambda: next(calls) == 26).train()
    again = make(tiny, tmp_path)
    again.restore(newest_checkpoint(tmp_path))
    again.at.evaluations.clear()
    again.train()
    assert (tmp_path / "metrics.jsonl").read_bytes() != (whole / "metrics.jsonl").read_bytes()


def test_without_an_average_there_is_no_second_loss(tiny) -> None:
    trainer = tiny().trainer(validation=tiny().validation(), settings={"eval_interval": 2})
    seen = []
    trainer.on_step = lambda step: seen.append(step.metrics())
    trainer.train()
    assert not [metrics for metrics in seen if "val/raw_loss" in metrics]
    assert trainer.update.average() == {}


@dataclass
class Grouped(SGD):
    """Half the rate for matrices, twice the rate for vectors."""

    def rules(self, name, shape, decay):
        return [Rule("sgd_update", self.state, self.attributes(decay), 0.5 if len(shape) > 1 else 2.0)]


def test_a_rule_s_share_of_the_rate(tiny, weights, gradients) -> None:
    """At the same gradients each parameter moves by its own rate; the plan scales once for each share."""
    model = tiny().model(norm_weight=True, norm_final=True)
    loss = BatchLoss(model)
    loss.train([*tiny().validation()][:1])
    by_name = {p.name: flat(p.grad.data).tolist() for p in model.parameters()}
    before, update = weights(model), Update(model, Grouped())
    update(0.25, 0)
    for p in model.parameters():
        rate = 0.125 if len(p.shape) > 1 else 0.5
        expected = [w - rate * g for w, g in zip(before[p.name], by_name[p.name])]
        assert flat(p.data).tolist() == pytest.approx(expected, abs=1e-15)
    calls = [call.op.name for call in update.plan.plan.calls]
    assert calls.count("scale") == 2


def test_rules_of_one_parameter_are_made_in_their_order(tiny) -> None:
    """Everybody's first, then everybody's second."""
    update = Update(tiny().model(), Averaged(), update_ops=UPDATE_OPS)
    names = [rule.update for _, rule in update.rules]
    half = len(names) // 2
    assert names == ["sgd_update"] * half + ["halfway"] * half
