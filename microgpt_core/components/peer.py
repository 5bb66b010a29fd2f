"""Another program that trains the same models, to be measured beside microgpt."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from microgpt_core.components.buffer import Buffer
from microgpt_core.components.text import Tokenizer
from microgpt_core.components.training import Optimizer


class Training(Protocol):
    """A model, its batches and its optimizer, ready to be stepped."""

    def gradients(self) -> tuple[float, Mapping[str, Buffer]]:
        """The loss of the first batch, and its gradient of each parameter by microgpt's name. No step is made."""
        ...

    def load(self, model: Any) -> None:
        """Have a model's weights again, copied. What the optimizer remembers stays."""
        ...

    def run(self, n: int) -> float:
        """Make `n` steps, each on the next batch, from the first one again after the last. Returns the last loss."""
        ...


class Generation(Protocol):
    """A model that writes one token after the other."""

    def run(self, n: int) -> Sequence[int]:
        """Write `n` tokens: after token 0 the likeliest each time, anew from token 0 where the block is full."""
        ...


class Peer:
    """Another program. What it trains is a microgpt model with its weights, which it copies; or it tokenizes."""

    name: ClassVar[str]

    def unavailable(self) -> str | None:
        """Why it can't be run here, and what would help; None where it can."""
        return None

    def ways(self, precision: str) -> Sequence[str]:
        """How it can train, such as ("eager", "compiled"): all are measured, the fastest counts."""
        return ()

    def settings(self, way: str, precision: str) -> str:
        """What it is told in this way: options, fused ops. Shown beside the times; whoever reads them judges by it."""
        return ""

    def training(
        self, model: Any, batches: Sequence[Any], optimizer: Optimizer, way: str, precision: str, threads: int
    ) -> Training:
        """The same training. `model` is a `models.model.Model` with its weights, `batches` are `text.batch.Batch`es.

        Raises ConfigurationError for a model that it can't build.
        """
        raise NotImplementedError

    def generation(self, model: Any, way: str, precision: str, threads: int) -> Generation:
        """The same model writing, with whatever the peer has for it. Raises ConfigurationError as `training` does."""
        raise NotImplementedError

    def tokenizer(self, ours: Tokenizer) -> Tokenizer:
        """The same tokenizer, with what `ours` has learnt, if it has been trained: it makes the same ids.

        Raises ConfigurationError for one that it can't be.
        """
        raise NotImplementedError
