"""Choices of a golden model, as `--vary` names them: what they change, what they leave, and what is refused."""

from statistics import median

import pytest

from microgpt_bench.bench import Question, bench
from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN, Golden
from microgpt_bench.measuring.agree import of_same_work
from microgpt_bench.measuring.race import Effort, Timed, race
from microgpt_bench.work.choice import choice
from microgpt_bench.work.step import BATCHES, Step
from microgpt_core.engine.capture import plan_of
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import ConfigurationError
from microgpt_core.training.loss import BatchLoss

SHORT = Effort(rounds=2, processes=1, block_seconds=0.01)


def chosen(*overrides: str, use: str = "reference") -> Candidate:
    return Candidate(use, overrides=overrides)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_choice_that_changes_nothing_is_the_golden_model(name: str) -> None:
    golden = GOLDEN[name]
    same, _ = choice(golden, chosen("train.recompute=0"))
    assert (same.rows, same.batching, same.tokens, same.recompute) == (golden.rows, golden.batching, golden.tokens, 0)
    plans = [plan_of(BatchLoss(one.shape()).step, *inputs(golden)) for one in (same, golden)]
    assert plans[0].digest == plans[1].digest
    assert [p.std for p in same.shape().parameters()] == [p.std for p in golden.shape().parameters()]


def inputs(golden: Golden) -> list[Tensor]:
    shape = (1, golden.tokens) if golden.batching == "packed" else (golden.rows, golden.fields["block_size"])
    return [*(Tensor(Value(shape, "i")) for _ in range(3)), Tensor(Value((1,), "f"))]


def test_what_is_chosen_is_taken() -> None:
    overrides = ("model.n_layer=2", "model.norm=layernorm", "train.batching=documents", "train.batch_size=3")
    other, _ = choice(GOLDEN["w16"], chosen(*overrides, "train.recompute=1"))
    model = other.shape()
    assert (model.n_layer, model.op("norm").name, other.recompute) == (2, "layernorm", 1)
    assert {batch.shape[0] for batch in other.batches(4)} == {3}
    assert GOLDEN["w16"].rows == 7


def test_a_kernel_is_forced() -> None:
    _, kernels = choice(GOLDEN["e16"], chosen("kernels.attention=reference"))
    assert kernels.forced == {"attention": "reference"}


def test_passes_compute_the_same_in_another_way() -> None:
    """The reference has none of its own; a name that nobody has is refused, as the table below says."""
    for text in ("passes=auto", "passes=[]"):
        golden, kernels = choice(GOLDEN["e16"], chosen(text))
        assert (golden.fields["n_embd"], kernels.passes, chosen(text).other_work) == (16, [], ())


REFUSED = {
    "train.rows=1": "unknown setting for --vary 'train.rows'",
    "model.use=gpt": "unknown setting for --vary 'model.use'",
    "backend=numpy": "unknown setting for --vary 'backend'",
    "optimizer.lr=1": "unknown setting for --vary 'optimizer.lr'; known: kernels.OP",
    "model.n_layr=2": r"--vary: model\.n_layr: unknown key \(did you mean 'n_layer'\?\)",
    "model.n_embd=7": r"--vary: model\.n_embd: found 7",
    "passes=[fused-lost]": r"--vary: passes\[0\]: unknown pass 'fused-lost'",
    "kernels.attention=simt": "--vary: kernels.attention: unknown backend 'simt'",
    "train.batching=rows": "expected one of documents, packed, random_window",
}


@pytest.mark.parametrize("override", REFUSED)
def test_what_cannot_be_chosen(override: str) -> None:
    with pytest.raises(ConfigurationError, match=REFUSED[override]):
        Question("step", ["e16"], ["reference"], choices=[(override,)]).check()


def test_one_long_text_has_no_documents() -> None:
    with pytest.raises(ConfigurationError, match="char-small reads one long text, found packed, .* documents have e16"):
        choice(GOLDEN["char-small"], chosen("train.batching=packed"))


def test_choices_are_of_microgpt_alone() -> None:
    with pytest.raises(ConfigurationError, match="leave --against out"):
        Question("step", ["e16"], ["reference"], peers=["torch"], choices=[("train.recompute=1",)]).check()


def test_all_combinations_are_candidates_and_their_names_tell_the_settings() -> None:
    question = Question("step", ["e16"], ["numpy"], choices=[("a.b=1", "c.d=2"), ("a.b=1", "c.d=3")])
    assert [who.name for who in question.candidates("e16")] == ["numpy[a.b=1,c.d=2]", "numpy[a.b=1,c.d=3]"]


@pytest.mark.slow
def test_a_race_of_choices_checks_those_that_compute_the_same() -> None:
    choices = [("train.recompute=0",), ("train.recompute=1",), ("model.norm=layernorm",)]
    report = bench(Question("step", ["e16"], ["reference"], choices=choices), SHORT)
    first, second, third = (f"reference[{overrides[0]}]" for overrides in choices)
    assert [one.candidate for one in report.results] == [first, second, third]
    assert report.agreement == {f"e16: {second}": dict.fromkeys(report.agreement[f"e16: {second}"], 0.0)}
    assert [(one.candidate, one.against) for one in report.ratios] == [(second, first), (third, first)]


def test_other_work_is_compared_with_its_like() -> None:
    a, b, c = chosen("model.norm=layernorm"), chosen("kernels.add=reference"), chosen("train.recompute=1")
    d = chosen("model.norm=layernorm", "train.recompute=1")
    lane = [(Timed(who), None, 1) for who in (a, b, c, d)]
    assert [[one.candidate for one, _, _ in same] for same in of_same_work(lane)] == [[a, d], [b, c]]  # type: ignore[arg-type]


def test_batches_of_several_shapes_are_a_cycle() -> None:
    step = Step(chosen("train.batching=documents"), "w16")
    assert step.cycle == BATCHES
    assert Step(chosen("train.recompute=1"), "w16").cycle == 1


def test_ops_need_batches_of_one_shape() -> None:
    (timed,) = race("ops", [chosen("train.batching=documents")], {"model": "w16"}, SHORT)
    assert "batches differ in shape" in timed.left_out


@pytest.mark.slow
def test_ratios_of_other_batches_are_by_the_target() -> None:
    choices = [("train.batch_size=1",), ("train.batch_size=2",)]
    report = bench(Question("step", ["e16"], ["reference"], choices=choices), SHORT)
    one, two = report.results
    assert (one.tokens, two.tokens) == (8, 16)
    (found,) = report.ratios
    by_hand = [2 * a / b for x, y in zip(one.rounds_ms, two.rounds_ms) for a, b in zip(x, y)]
    assert found.ratio == pytest.approx(median(by_hand))
