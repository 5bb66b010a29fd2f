"""The check before a race: trainings that are right agree, each planted fault is found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.measuring.agree import ALLOWED, Differences, same_text, same_training
from microgpt_bench.measuring.race import Lane, Timed
from microgpt_bench.measuring.racer import CannotRunError
from microgpt_bench.work.agreement import disagreement, write_down
from microgpt_bench.work.kernels import kernels_of
from microgpt_bench.work.step import Step
from microgpt_bench.work.training import OwnTraining
from microgpt_core.components import Optimizer, flat
from microgpt_core.training.optimizers import AdamW


def training(optimizer: Optimizer | None = None, skip: int = 0) -> OwnTraining:
    golden = GOLDEN["e16"]
    batches = golden.batches(4 + skip)[skip:]
    return OwnTraining(golden.build(), batches, optimizer or golden.optimizer(), kernels_of("reference"))


def wrong_weight() -> OwnTraining:
    made = training()
    weight = flat(next(p for p in made.model.parameters() if p.name == "block.0.mlp.fc1.weight").data)
    weight[3] += 0.05
    return made


FAULTS: dict[str, Callable[[], OwnTraining]] = {
    "another weight": wrong_weight,
    "other betas": lambda: training(AdamW(lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0)),
    "decay": lambda: training(AdamW(lr=1e-3, betas=(0.9, 0.95), weight_decay=20.0)),
    "another learning rate": lambda: training(AdamW(lr=2e-3, betas=(0.9, 0.95), weight_decay=0.0)),
    "other text": lambda: training(skip=1),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agree") / "expected.safetensors"
    write_down(training(), path)
    return path


def test_the_same_training_agrees_to_the_bit(expected: Path) -> None:
    assert set(disagreement(training(), expected).values()) == {0.0}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, expected: Path) -> None:
    assert max(disagreement(FAULTS[fault](), expected).values()) > ALLOWED["float32"]


def test_first_weights_are_compared_however_far_steps_have_gone_apart(tmp_path: Path) -> None:
    """AdamW's first step makes of gradients that are nothing but rounding as much as of any."""
    path, (one, other) = str(tmp_path / "expected"), (Step(Candidate("reference"), "e16") for _ in range(2))
    for work in (one, other):
        work.run(1)
    assert isinstance(other.training, OwnTraining)
    flat(other.training.model.wte.weight.data)[0] += 0.01
    one.write_down(path)
    assert max(other.disagreement(path)["by"].values()) < ALLOWED["float32"] / 10
    other.begin_again = lambda: None  # type: ignore[method-assign]
    assert max(other.disagreement(path)["by"].values()) > ALLOWED["float32"]


def test_looking_changes_no_step(expected: Path) -> None:
    """Gradients are looked at without a step, and are zero again after it."""
    looked, other = training(), training()
    looked.gradients()
    assert [looked.run(1) for _ in range(3)] == [other.run(1) for _ in range(3)]


class Answers:
    """A racer that answers as it was told to."""

    candidate: Candidate

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[str]()

    def tell(self, what: str, **request: Any) -> Any:
        self.asked.append(what)
        return self.answers.get(what, {})


def lane(*who: tuple[Candidate, Answers]) -> Lane:
    for candidate, answers in who:
        answers.candidate = candidate
    return [(Timed(candidate), answers, 1) for candidate, answers in who]  # type: ignore[misc]


TORCH = Candidate("torch", peer=True, way="eager")


def test_who_differs_is_not_timed_and_the_message_has_the_numbers() -> None:
    good, bad = Answers(disagreement={"by": {"losses": 1e-6}}), Answers(disagreement={"by": {"losses": 1e-6, "w": 0.2}})
    found = Differences()
    racing = lane((Candidate("numpy"), Answers()), (Candidate("reference"), good), (TORCH, bad))
    same_training(found)(racing)
    assert [timed.left_out for timed, _, _ in racing] == [
        "",
        "",
        "torch-eager doesn't compute what numpy does: w differs by 2.0e-01 of its size, allowed: 0.0001",
    ]
    assert found == {"reference": {"losses": 1e-6}, "torch-eager": {"losses": 1e-6, "w": 0.2}}


@pytest.mark.parametrize(
    "differs", [{"losses": float("nan")}, {"losses": 1e-6, "w": float("nan")}, {"w": float("inf")}]
)
def test_numbers_that_are_none_never_agree(differs: dict[str, float]) -> None:
    bad = Answers(disagreement={"by": differs})
    racing = lane((Candidate("numpy"), Answers()), (TORCH, bad))
    same_training(Differences())(racing)
    assert racing[1][0].left_out


def test_bfloat16_may_differ_by_its_own_rounding() -> None:
    far = Answers(disagreement={"by": {"losses": 0.01}})
    racing = lane((Candidate("numpy"), Answers()), (Candidate("torch", "bfloat16", peer=True, way="eager"), far))
    same_training(Differences())(racing)
    assert not racing[1][0].left_out


def test_who_fails_while_it_is_compared_costs_nobody_else_anything() -> None:
    class Dead(Answers):
        def tell(self, what: str, **request: Any) -> Any:
            raise CannotRunError("its process ended")

    good = Answers(disagreement={"by": {"losses": 1e-6}})
    racing = lane((Candidate("numpy"), Answers()), (TORCH, Dead()), (Candidate("reference"), good))
    same_training(Differences())(racing)
    assert [timed.left_out for timed, _, _ in racing] == ["", "its process ended", ""]


def test_where_the_first_fails_the_next_of_microgpt_is_who_others_are_compared_with() -> None:
    class Dead(Answers):
        def tell(self, what: str, **request: Any) -> Any:
            raise CannotRunError("its process ended")

    good = Answers(disagreement={"by": {"losses": 1e-6}})
    racing = lane((Candidate("numpy"), Dead()), (Candidate("reference"), Answers()), (TORCH, good))
    same_training(Differences())(racing)
    assert [timed.left_out for timed, _, _ in racing] == ["its process ended", "", ""]
    assert good.asked == ["disagreement"]


def test_alone_there_is_nothing_to_compare_with() -> None:
    only = Answers()
    same_training(Differences())(lane((Candidate("numpy"), only)))
    assert not only.asked


def test_other_tokens_are_other_work() -> None:
    a, b, c = (Answers(write={"tokens": tokens}) for tokens in ([1] * 16, [1] * 16, [1] * 15 + [2]))
    found = Differences()
    racing = lane((Candidate("numpy"), a), (Candidate("reference"), b), (TORCH, c))
    same_text(found)(racing)
    assert [bool(timed.left_out) for timed, _, _ in racing] == [False, False, True]
    assert "1 of 16 tokens" in racing[2][0].left_out
