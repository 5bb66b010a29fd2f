"""How sure a model is of what comes next: the entropy of its predictions, H = -sum p ln p, in nats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from microgpt_core.components import Analyzer, Buffer, rows
from microgpt_core.errors import ConfigurationError


@dataclass
class PredictionEntropy(Analyzer):
    """The mean entropy of a batch's predictions.

    Fields:
        every: the steps from one look to the next, beginning with the first step
    """

    name = "prediction-entropy"
    watch = ("lm_head", "grad lm_head")  # the logits, (B, T, V), and the loss's gradient for them

    every: int = 10

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigurationError(f"every: found {self.every}, allowed: 1 or more")
        self.entropy: dict[int, float] = {}

    def observe(self, step: int, values: Mapping[str, Buffer]) -> None:
        if (step - 1) % self.every == 0:
            pairs = zip(rows(values["lm_head"]), rows(values["grad lm_head"]))
            found = [entropy(logits) for logits, grad in pairs if any(grad)]  # padding has no gradient
            self.entropy[step] = sum(found) / len(found)

    def report(self) -> Mapping[str, Any]:
        return {"entropy": self.entropy}


def entropy(logits: Sequence[float]) -> float:
    """-sum p ln p for p = e^z / Z, which is ln Z - sum p z. Less the largest z, so that no e^z is too large."""
    top = max(logits)
    shifted = [z - top for z in logits]
    weights = [exp(z) for z in shifted]
    total = sum(weights)
    return log(total) - sum([w * z for w, z in zip(weights, shifted)]) / total
