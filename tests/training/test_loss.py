"""The loss of a window: the mean over its targets, however it is cut into batches."""

import math
import random

import pytest

from microgpt_core.errors import DataError
from microgpt_core.text.batch import packed, padded
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.update import Update

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}


def documents(n: int = 32) -> list[list[int]]:
    """Ids of documents of 1 to 6 targets."""
    rng = random.Random(9)
    return [[rng.randrange(8) for _ in range(2 + rng.randrange(6))] for _ in range(n)]


@pytest.mark.parametrize("precision", TOLERANCE)
def test_a_window_is_averaged_over_its_targets_however_it_is_cut(tiny, gradients, precision) -> None:
    """32 ragged documents at once, 8 by 4, and one by one give the same loss and gradients."""
    rows, found = documents(), []
    for size in (32, 4, 1):
        model = tiny(precision=precision).model()
        loss = BatchLoss(model).train([padded(rows[i : i + size]) for i in range(0, 32, size)])
        found.append((loss, gradients(model)))
    (loss, expected), limit = found[0], TOLERANCE[precision]
    largest = max(map(abs, expected))
    for other, gradient in found[1:]:
        assert other == pytest.approx(loss, rel=limit)
        assert max(abs(a - b) for a, b in zip(gradient, expected)) <= limit * largest


def test_the_mean_of_the_batches_means_would_be_something_else(tiny) -> None:
    """What the test above would miss if all documents were of one length."""
    rows = documents()
    loss = BatchLoss(tiny().model())
    means = [loss.evaluate([padded([row])]) for row in rows]
    assert abs(math.fsum(means) / len(means) - loss.evaluate([padded(rows)])) > 1e-4


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_a_batchs_loss_is_the_token_mean_of_its_documents(tiny, layout) -> None:
    rows = documents(8)
    batch = padded(rows) if layout == "padded" else packed(rows, width=48)
    loss = BatchLoss(tiny(block_size=8).model())
    total = math.fsum(loss.evaluate([padded([row])]) * (len(row) - 1) for row in rows)
    expected = total / sum(len(row) - 1 for row in rows)
    assert loss.evaluate([batch]) == pytest.approx(expected, rel=1e-13)
    assert loss.train([batch]) == pytest.approx(expected, rel=1e-13)


def test_smoothing_is_part_of_training_not_of_evaluation(tiny) -> None:
    batch = padded(documents(4))
    plain, smooth = BatchLoss(tiny().model()), BatchLoss(tiny().model(), label_smoothing=0.2)
    assert smooth.evaluate([batch]) == plain.evaluate([batch]) == pytest.approx(plain.train([batch]), rel=1e-12)
    assert abs(smooth.train([batch]) - plain.train([batch])) > 1e-3


def test_flops_are_those_of_the_whole_window(tiny) -> None:
    rows = documents(3)
    loss = BatchLoss(tiny().model())
    each = []
    for row in rows:
        loss.train([padded([row])])
        each.append(loss.flops)
    loss.train([padded([row]) for row in rows])
    assert loss.flops == sum(each)
    assert len(set(each)) > 1


@pytest.mark.parametrize("recompute", [0, 1])
@pytest.mark.parametrize("frozen", [[], ["wpe"], ["block"]])
@pytest.mark.parametrize("fields", [{}, {"n_embd": 10, "tie_weights": True}, {"dropout": 0.3}], ids=str)
def test_gradients_that_are_computed_anew_are_the_same_bits(tiny, fields, frozen, recompute) -> None:
    """With batches of several shapes, and an evaluation in between. What lies in their memory before doesn't matter."""

    def run(accumulates: bool) -> list[float]:
        model = tiny().model(**fields)
        loss = BatchLoss(model, recompute=recompute, seed=5, accumulates=accumulates)
        for p in model.parameters():  # after there was memory for its gradient, too
            p.requires_grad = not any(p.name.startswith(name) for name in frozen)
        update, found = Update(model, AdamW(lr=0.05), accumulates=accumulates), []
        update.allocate()
        for step, size in enumerate((1, 3, 2, 3)):
            batch = padded(documents()[size : 2 * size])
            found += [loss.train([batch], step), update(0.05, step), loss.evaluate([batch])]
        assert any(v.lent for v in loss.training.plan.values) is not accumulates
        return found

    assert run(accumulates=False) == run(accumulates=True)


def test_lent_memory_makes_the_region_smaller(tiny) -> None:
    batch = padded(documents(4))
    plans = [BatchLoss(tiny().model(), accumulates=each) for each in (False, True)]
    less, more = (loss.training.plan_for(*loss.inputs(batch, 1.0)) for loss in plans)
    assert less.region_bytes < more.region_bytes
    assert less.peak_live_bytes <= less.region_bytes
    assert [v["name"] for v in less.to_dict()["values"] if v.get("lent")] == [v.name for v in less.values if v.lent]
    assert not any("lent" in v for v in more.to_dict()["values"])


def test_nothing_to_evaluate_is_an_error(tiny) -> None:
    with pytest.raises(DataError, match="no text to evaluate"):
        BatchLoss(tiny().model()).evaluate([])


@pytest.mark.parametrize("precision", TOLERANCE)
def test_dropout_is_the_same_however_a_window_is_cut(tiny, gradients, precision) -> None:
    """What is dropped belongs to a row of the step, not to a batch."""
    rows, found = documents(), []
    for size in (32, 8, 1):
        model = tiny(precision=precision).model(dropout=0.3)
        window = [padded(rows[i : i + size]) for i in range(0, 32, size)]
        found.append((BatchLoss(model, seed=5).train(window, step=3), gradients(model)))
    (loss, expected), limit = found[0], TOLERANCE[precision]
    for other, gradient in found[1:]:
        assert other == pytest.approx(loss, rel=limit)
        assert max(abs(a - b) for a, b in zip(gradient, expected)) <= limit * max(map(abs, expected))


@pytest.mark.parametrize("change", [{"seed": 6}, {"step": 4}, {"dropout": 0.0}])
def test_each_seed_and_step_drops_others_and_evaluation_drops_nothing(tiny, change) -> None:
    def losses(seed: int = 5, step: int = 3, dropout: float = 0.3) -> tuple[float, float]:
        loss = BatchLoss(tiny().model(dropout=dropout), seed=seed)
        return loss.train([padded(documents(8))], step), loss.evaluate([padded(documents(8))])

    (trained, evaluated), (other, same) = losses(), losses(**change)
    assert trained != other
    assert evaluated == same
