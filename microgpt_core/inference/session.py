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
    stands behind the prompt's end is written over before anything can see it. A model without caches
    reads its whole text again each time.
    """

    def __init__(self, model: Model, kernels: Kernels = REFERENCE) -> None:
        self.model = model
        self._read: list[int] = []  # all tokens so far
        self._start = tensor([0], "int32")
        self._caches = model.caches(self._start, rows=model.block_size)
        allocate_together(t.value for cache in self._caches for t in (cache.keys, cache.values))
        self._plan = Captured(self._forward, kernels, quiet=True)

    @property
    def room(self) -> int:
        """How many more tokens fit."""
        return self.model.block_size - len(self._read)

    def reset(self) -> None:
        """Forget what was read."""
        self._read = []

    def read(self, tokens: Sequence[int]) -> list[float]:
        """Read tokens after those read before. Returns the logits (V,) of what comes next.

        Raises DataError for no tokens, or more than there is room for.
        """
        if not 0 < len(tokens) <= self.room:
            raise DataError(
                f"a session of {self.model.block_size} tokens has room for {self.room} more, found {len(tokens)}"
            )
        text = [*self._read, *tokens]
        start = len(self._read) if self._caches else 0
        n = len(text) - start
        length = min(1 << (n - 1).bit_length(), self.model.block_size - start)  # the next power of two, if it fits
        padded = text[start:] + [0] * (length - n)
        flat(self._start.data)[0] = start
        logits = self._plan(tensor([padded], "int32"), tensor([list(range(start, start + length))], "int32"))
        self._read = text
        return [float(z) for z in rows(logits.data)[n - 1]]

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        with no_grad():
            return self.model(tokens, positions, self._caches or None)
