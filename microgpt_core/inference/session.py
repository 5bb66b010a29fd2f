"""A session: a model reading and continuing one text, with the keys and values of what it read kept."""

from __future__ import annotations

from collections.abc import Sequence

from microgpt_core.components.buffer import flat, rows
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.region import allocate_together
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import DataError
from microgpt_core.models.model import Model


class Session:
    """One sequence and its cache. Sessions of a model share its parameters.

    `read` takes tokens and returns the logits after the last: many at once at first (prefill), then one
    by one. Prefill is done in lengths of powers of two, so that a few plans serve every prompt: what
    stands behind the prompt's end is written over before anything can see it.
    """

    def __init__(self, model: Model, kernels: Kernels = REFERENCE) -> None:
        self.model, self.length = model, 0
        self._start = tensor([0], "int32")
        self._caches = model.caches(self._start, rows=model.block_size)
        allocate_together(t.value for cache in self._caches for t in (cache.keys, cache.values))
        self._plan = Captured(self._forward, kernels, quiet=True)

    @property
    def room(self) -> int:
        """How many more tokens fit."""
        return self.model.block_size - self.length

    def reset(self) -> None:
        """Forget what was read."""
        self.length = 0

    def read(self, tokens: Sequence[int]) -> list[float]:
        """Read tokens after those read before. Returns the logits (V,) of what comes next.

        Raises DataError for no tokens, or more than there is room for.
        """
        n = len(tokens)
        if not 0 < n <= self.room:
            raise DataError(f"a session of {self.model.block_size} tokens has room for {self.room}, found {n}")
        padded = [*tokens, *[0] * (self._bucket(n) - n)]
        positions = [min(self.length + i, self.model.block_size - 1) for i in range(len(padded))]
        flat(self._start.data)[0] = self.length
        logits = self._plan(tensor([padded], "int32"), tensor([positions], "int32"))
        self.length += n
        return rows(logits.data)[n - 1].tolist()

    def _bucket(self, n: int) -> int:
        """The length that n tokens are read in: the next power of two that still fits."""
        return min(1 << (n - 1).bit_length(), self.room)

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        with no_grad():
            return self.model(tokens, positions, self._caches)  # type: ignore[no-any-return]
