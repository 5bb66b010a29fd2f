"""Infinity and NaN: the step is named, the tensor is named, the weights stay, no checkpoint ever holds one."""

import json
import math
from contextlib import nullcontext
from pathlib import Path

import pytest

from microgpt_core.components import Unary, flat
from microgpt_core.errors import NonFiniteError
from microgpt_core.storage.safetensors import read_safetensors
from microgpt_core.training.diagnosis import is_finite
from microgpt_core.training.optimizers import SGD, AdamW

NAN, INF = math.nan, math.inf


def after(step: int, change):
    """An `on_step` that changes something once `step` is done."""
    return lambda done: change() if done.step == step else None


def check_saved(folder: Path) -> int:
    """Every saved number is finite. Returns how many files there were."""
    files = list(folder.rglob("*.safetensors"))
    for path in files:
        with read_safetensors(path) as saved:
            saved.check_finite()
    return len(files)


def poison(buffer: memoryview, value: float = NAN) -> None:
    flat(buffer)[1] = value


def test_the_check_of_saved_files_finds_a_nan(tiny, tmp_path: Path) -> None:
    """The positive control of the tests below."""
    trainer = tiny().trainer(folder=tmp_path)
    trainer.require_finite = lambda: None
    trainer.on_step = after(6, lambda: poison(trainer.model.wte.weight.data))
    trainer.train()
    with pytest.raises(NonFiniteError, match="'wte.weight' holds infinity or NaN"):
        check_saved(tmp_path)


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("name", ["lm_head.weight", "block.0.attention.k.weight", "block.0.mlp.fc2.weight"])
def test_a_weight_that_isnt_finite_is_named_and_nothing_moves(tiny, weights, tmp_path: Path, name: str, value) -> None:
    trainer = tiny().trainer(folder=tmp_path, settings={"max_steps": 9, "checkpoint_interval": 2})
    found = {}

    def change() -> None:
        poison(trainer.model.state()[name], value)
        found.update(weights(trainer.model))

    trainer.on_step = after(3, change)
    with pytest.raises(NonFiniteError) as caught:
        trainer.train()
    assert str(caught.value).startswith(f"step 4: {name} isn't finite (loss ")
    assert "this step changed no weight" in str(caught.value)
    assert f"The last good checkpoint is {tmp_path / 'checkpoints' / 'step-000002'}." in str(caught.value)
    assert "optimizer.lr (now 0.02)" in str(caught.value)
    assert repr(weights(trainer.model)) == repr(found)  # repr: a NaN isn't equal to itself
    assert check_saved(tmp_path) == 2
    assert caught.value.exit_code == 3


def test_weights_that_nothing_uses_are_found_before_they_are_saved(tiny, tmp_path: Path) -> None:
    """A token that no text holds: its row changes no loss."""
    made = tiny(held_out=("xyz",))
    trainer = made.trainer(folder=tmp_path, settings={"checkpoint_interval": 2})
    unused = made.tokenizer().encode("z")[0]

    def change() -> None:
        trainer.model.wte.weight.data[unused, 0] = INF

    trainer.on_step = after(3, change)
    with pytest.raises(
        NonFiniteError, match=r"step 4: wte\.weight isn't finite\. The last good checkpoint is .*000002"
    ):
        trainer.train()
    assert check_saved(tmp_path) == 2


@pytest.mark.parametrize("folder", [True, False])
def test_a_rate_that_blows_the_weights_up_in_the_last_step_is_found(tiny, tmp_path: Path, folder: bool) -> None:
    made = tiny(precision="float32")
    trainer = made.trainer(
        optimizer=SGD(lr=1e38), settings={"max_steps": 1, "grad_clip": None}, folder=tmp_path if folder else None
    )
    for p in trainer.model.parameters():
        flat(p.data)[:] = flat(memoryview(bytes(p.data.nbytes)).cast("B").cast("f"))
    poison(trainer.model.lm_head.weight.data, 3.4e38)
    poison(trainer.model.wte.weight.data, 1.0)
    trainer.loss.train = lambda window, step: 1.0
    trainer.update.trained[0].grad.data[0, 0] = 1e3
    with pytest.raises(NonFiniteError, match=r"step 1: wte\.weight isn't finite\. Try"):
        trainer.train()
    assert check_saved(tmp_path) == 0


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("lr", "breaks"), [(1e-3, False), (1e10, True), (1e45, True), (1e300, True)])
def test_a_huge_rate_ends_with_an_error_whatever_it_did(
    tiny, tmp_path: Path, precision: str, lr: float, breaks: bool
) -> None:
    made = tiny(precision=precision)
    trainer = made.trainer(
        optimizer=SGD(lr=lr), settings={"max_steps": 40, "grad_clip": None, "checkpoint_interval": 1}, folder=tmp_path
    )
    with pytest.raises(NonFiniteError, match=r"Try a smaller optimizer\.lr") if breaks else nullcontext():
        trainer.train()
        assert all(is_finite(x) for x in trainer.model.state().values())
    check_saved(tmp_path)


@pytest.mark.parametrize("value", [NAN, INF])
def test_optimizer_state_that_isnt_finite_is_named_before_it_does_harm(tiny, weights, value: float) -> None:
    """As read from elsewhere: before the first step."""
    trainer = tiny().trainer()
    poison(trainer.update.buffers()["block.0.mlp.fc1.weight.v"], value)
    before = weights(trainer.model)
    with pytest.raises(NonFiniteError, match=r"step 0: optimizer state block\.0\.mlp\.fc1\.weight\.v isn't finite"):
        trainer.train()
    assert weights(trainer.model) == before


@pytest.mark.parametrize("state", ["m", "v"])
def test_optimizer_state_that_goes_wrong_in_between_is_named_and_never_saved(tiny, tmp_path: Path, state: str) -> None:
    trainer = tiny().trainer(folder=tmp_path, settings={"checkpoint_interval": 2}, optimizer=AdamW(lr=0.01))
    trainer.on_step = after(3, lambda: poison(trainer.update.buffers()[f"wpe.weight.{state}"]))
    with pytest.raises(NonFiniteError, match=rf"step [45]: optimizer state wpe\.weight\.{state} isn't finite"):
        trainer.train()
    assert check_saved(tmp_path) == 2


class Brittle(Unary):
    """An op whose value breaks on large numbers."""

    def f(self, x: float) -> float:
        return math.inf if x > 2.0 else x

    def df(self, x: float) -> float:
        return 1.0


class Steep(Unary):
    """An op whose derivative breaks everywhere but at the start."""

    def f(self, x: float) -> float:
        return x

    def df(self, x: float) -> float:
        return math.nan


@pytest.mark.parametrize(
    ("activation", "first"),
    [(Brittle(), r"the output of block\.0\.mlp\.fc2"), (Steep(), r"the gradient of block\.0\.mlp\.fc1")],
)
def test_the_first_value_of_the_computation_is_named(tiny, weights, gradients, activation, first: str) -> None:
    made = tiny()
    trainer = made.trainer(model=made.model(activation=activation, init_std=1.0), settings={"accumulation": 2})
    before = weights(trainer.model)
    with pytest.raises(NonFiniteError, match=rf"step 1: {first} isn't finite \(loss"):
        trainer.train()
    assert weights(trainer.model) == before
    assert set(gradients(trainer.model)) == {0.0}  # so that the caller may go on


def test_a_loss_beyond_all_floats_is_named(tiny, weights) -> None:
    """Finite logits whose difference isn't: x is (sqrt(8), 0, ...) everywhere, so logits are +-3.39e38."""
    made = tiny(precision="float32")
    model = made.model(init_std=0.0, init_output_std=0.0)
    for row in range(model.vocab_size):
        model.wte.weight.data[row, 0] = 1.0
        model.lm_head.weight.data[row, 0] = 1.2e38 if row == 0 else -1.2e38
    trainer, before = made.trainer(model=model), weights(model)
    with pytest.raises(NonFiniteError, match=r"step 1: the loss isn't finite \(loss inf\), so this step changed"):
        trainer.train()
    assert weights(model) == before


def test_a_finite_loss_with_a_norm_beyond_all_floats_moves_nothing(tiny, weights) -> None:
    trainer = tiny(precision="float32").trainer()
    before, compute = weights(trainer.model), trainer.loss.train

    def huge(window, step) -> float:
        loss = compute(window, step)
        for p in trainer.model.parameters():
            flat(p.grad.data)[0] = 3e38
        return loss

    trainer.loss.train = huge
    with pytest.raises(NonFiniteError, match=r"step 1: the norm of all gradients isn't finite \(loss 2"):
        trainer.train()
    assert weights(trainer.model) == before


def test_an_infinite_loss_moves_nothing_although_its_gradients_are_finite(tiny, weights) -> None:
    trainer = tiny().trainer()
    before, compute = weights(trainer.model), trainer.loss.train
    trainer.loss.train = lambda window, step: compute(window, step) * INF
    with pytest.raises(NonFiniteError, match=r"\(loss inf\), so this step changed no weight"):
        trainer.train()
    assert weights(trainer.model) == before


def test_a_validation_loss_that_isnt_finite_stops(tiny, tmp_path: Path) -> None:
    """The weights of a token that only the validation text holds."""
    made = tiny(held_out=("z",))
    trainer = made.trainer(settings={"eval_interval": 2}, validation=made.validation(), folder=tmp_path)
    row = made.tokenizer().encode("z")[0]
    trainer.on_step = after(3, lambda: trainer.model.wte.weight.data.__setitem__((row, 0), NAN))
    with pytest.raises(NonFiniteError, match=r"step 4: wte\.weight isn't finite"):
        trainer.train()
    assert check_saved(tmp_path) == 1


def test_a_validation_loss_beyond_all_floats_stops(tiny) -> None:
    made = tiny()
    trainer = made.trainer(settings={"eval_interval": 2}, validation=made.validation())
    trainer.loss.evaluate = lambda batches: INF
    with pytest.raises(NonFiniteError, match="step 2: the validation loss is inf, though every weight is finite"):
        trainer.train()


def test_training_goes_on_after_the_cause_is_gone(tiny, weights) -> None:
    """The failed step left nothing behind: going on equals never having failed."""
    usual, broken = tiny().trainer(), tiny().trainer()
    compute = broken.loss.train

    def once(window, step) -> float:
        broken.loss.train = compute
        return compute(window, step) * NAN

    broken.loss.train = once
    with pytest.raises(NonFiniteError):
        broken.train()
    broken.train()
    usual.train()
    assert weights(broken.model) == weights(usual.model)


def skewed(trainer, bad_steps: set[int]) -> None:
    """Make the loss of these steps (from 0, counted in batches) NaN, as a bad text might."""
    train, batch = trainer.loss.train, trainer.batches.batch
    seen: list[int] = []
    trainer.batches.batch = lambda i: seen.append(i) or batch(i)
    trainer.loss.train = lambda window, step: NAN if seen[-1] in bad_steps else train(window, step)


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_step_is_skipped_where_that_is_asked(tiny, tmp_path: Path, caplog) -> None:
    trainer = tiny().trainer(folder=tmp_path, settings={"max_steps": 9, "on_non_finite": "skip"})
    skewed(trainer, {3, 4})
    assert trainer.train().steps == 9
    found = lines(tmp_path)
    assert [line["step"] for line in found] == list(range(1, 10))
    assert [line["step"] for line in found if "train/loss" not in line] == [4, 5]
    assert (
        "step 4: the norm of all gradients isn't finite (loss nan), so this step changed no weight; it is skipped"
        in caplog.text
    )
    assert check_saved(tmp_path) > 0


def test_a_skipped_step_changes_nothing_but_what_is_counted(tiny, weights) -> None:
    trainer = tiny().trainer(settings={"max_steps": 4, "on_non_finite": "skip"})
    skewed(trainer, {3})
    states = []
    trainer.on_step = lambda step: states.append(
        (weights(trainer.model), {n: x.tobytes() for n, x in trainer.update.buffers().items()})
    )
    trainer.train()
    assert states[3] == states[2] != states[1]


def test_many_skipped_steps_in_a_row_are_no_accident(tiny, tmp_path: Path) -> None:
    trainer = tiny().trainer(folder=tmp_path, settings={"max_steps": 50, "on_non_finite": "skip"})
    skewed(trainer, {*range(3, 13), *range(20, 40)})
    with pytest.raises(NonFiniteError, match=r"step 31: "):  # ten are skipped, twice
        trainer.train()


def test_what_is_stored_cant_be_skipped(tiny) -> None:
    trainer = tiny().trainer(settings={"on_non_finite": "skip"})
    trainer.on_step = after(2, lambda: poison(trainer.model.wte.weight.data))
    with pytest.raises(NonFiniteError, match=r"step 3: wte\.weight isn't finite"):
        trainer.train()


def rolled_back(tiny, folder: Path, bad_steps: set[int], checkpoint_interval: int = 2, **options):
    trainer = tiny().trainer(folder=folder, **options, settings={
        "max_steps": 9, "checkpoint_interval": checkpoint_interval, "eval_interval": 3, "on_non_finite": "rollback",
        "accumulation": 1,
    })  # fmt: skip
    skewed(trainer, bad_steps)
    return trainer


def test_a_rollback_goes_back_and_past_the_bad_batch(tiny, weights, tmp_path: Path, caplog) -> None:
    trainer = rolled_back(tiny, tmp_path, {5})
    assert trainer.train().steps == 9
    assert "step 6: " in caplog.text
    assert f"going back to {tmp_path / 'checkpoints' / 'step-000004'}, and past the batches since" in caplog.text
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 10))
    assert trainer.at.left_out == 2  # the batches 4, a good one, and 5
    assert check_saved(tmp_path) > 0
    # The same, had the texts never been there: batches 0 to 3, then 6 and on.
    other = tiny().trainer(settings={"max_steps": 9})
    batch = other.batches.batch
    other.batches.batch = lambda i: batch(i + 2 * (i >= 4))
    other.train()
    assert weights(other.model) == weights(trainer.model)


def test_a_rollback_at_the_very_start_and_weights_that_went_bad(tiny, tmp_path: Path) -> None:
    trainer = rolled_back(tiny, tmp_path / "a", {0})
    assert trainer.train().steps == 9
    assert trainer.at.left_out == 1
    healed = rolled_back(tiny, tmp_path / "b", set())
    healed.on_step = after(5, lambda: poison(healed.model.wte.weight.data) if not healed.at.left_out else None)
    assert healed.train().steps == 9
    assert healed.rollbacks == 0
    assert healed.at.left_out == 2  # one rollback: no NaN was left in the gradients to poison the step after it
    assert check_saved(tmp_path) > 0


def test_rollbacks_that_dont_help_end_it(tiny, tmp_path: Path) -> None:
    trainer = rolled_back(tiny, tmp_path, set(range(5, 100)))
    with pytest.raises(NonFiniteError, match=r"step 5: .* The last good checkpoint is .*step-000004"):
        trainer.train()
    assert trainer.rollbacks == 3


def test_without_a_folder_there_is_nothing_to_go_back_to(tiny) -> None:
    trainer = tiny().trainer(settings={"on_non_finite": "rollback"})
    skewed(trainer, {2})
    with pytest.raises(NonFiniteError, match="step 3: "):
        trainer.train()


def test_a_rollback_to_a_step_that_a_signal_cut_short_finishes_that_step_first(tiny, weights, tmp_path: Path) -> None:
    """All is as without the signal, and with a checkpoint made right after that step."""

    def make(name: str, checkpoint_interval: int = 0, **options):
        options["validation"] = tiny().validation()
        trainer = rolled_back(tiny, tmp_path / name, {4}, checkpoint_interval, **options)
        trainer.loss.evaluate = lambda batches: float(trainer.at.step)  # the first is the best
        return trainer

    whole, calls, done = make("whole", checkpoint_interval=3), iter(range(9)), []
    result = whole.train()
    make("cut", interrupted=lambda: next(calls) == 2).train()  # asked once a step
    cut = make("cut", on_step=lambda step: done.append(step.step))
    cut.restore(tmp_path / "cut" / "checkpoints" / "step-000003")
    assert not cut.at.logged
    assert cut.train().step == result.step == 3
    assert done == [3, 4, 3, 4, 5, 6, 7, 8, 9]
    assert vars(cut.at) == vars(whole.at)
    assert weights(cut.model) == weights(whole.model)
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
