"""The schedule that looks: the learning rate goes down when the validation loss doesn't."""

from dataclasses import dataclass
from math import inf

from microgpt_core.errors import require
from microgpt_core.training.schedules import WarmUp
from microgpt_optimizers.limits import check_fraction, check_not_below


@dataclass
class Plateau(WarmUp):
    """Down by a step when evaluations stop getting better. It needs held-out text and train.eval_interval.

    Fields:
        warmup_steps: steps over which the rate rises from near 0
        patience: evaluations without improvement that are waited for before the rate goes down
        gamma: what the factor is multiplied by then
        threshold: how much lower than the best loss so far a loss must be to be an improvement
        floor: the smallest factor
    """

    name = "plateau"

    patience: int = 2
    gamma: float = 0.5
    threshold: float = 0.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.patience >= 0, "patience", self.patience, "0 or more")
        require(0.0 < self.gamma < 1.0, "gamma", self.gamma, "between 0 and 1")
        check_not_below("threshold", self.threshold)
        check_fraction("floor", self.floor)

    def factor(self, step: int, max_steps: int) -> float:
        if step < self.warmup_steps:
            return super().factor(step, max_steps)
        best, waited, factor = inf, 0, 1.0
        for _, loss in [(at, loss) for at, loss in self.evaluations if at <= step]:
            if loss < best - self.threshold:
                best, waited = loss, -1
            waited += 1
            if waited > self.patience:
                waited, factor = 0, factor * self.gamma
        return max(factor, self.floor)
