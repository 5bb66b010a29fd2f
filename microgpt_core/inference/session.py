"""A session: a model reading texts side by side, with the keys and values of what it read kept."""

from collections.abc import Sequence
from dataclasses import replace

from microgpt_core import ops
from microgpt_core.components.buffer import rows, write
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.region import allocate_together
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import DataError
from microgpt_core.inference.sampling import Sampling
from microgpt_core.models.model import Model
from microgpt_core.text.batch import PADDING


class Session:
    """One text in each of its rows, and their caches. Sessions of a model share its parameters.

    `advance` takes new tokens for each row: many at once at first (prefill), then one by one, each row at its own
    place. `logits` (rows, V) are then those of what comes next. A row's logits are to the bit what they would be
    alone, and without a cache. A model without caches reads its whole texts again each time. What is learned between
    two reads counts from where all rows have been reset: in their caches, and in what passes keep of parameters.
    """

    def __init__(self, model: Model, kernels: Kernels = REFERENCE, rows: int = 1) -> None:
        self.model, self.kernels, self.rows = model, kernels, rows
        self.logits = tensor([[0.0] * model.vocab_size] * rows, model.precision)
        self._texts: list[list[int]] = [[] for _ in range(rows)]  # all tokens so far
        self._start = tensor([0] * rows, "int32")
        self._caches = model.caches(self._start, rows=model.block_size)
        allocate_together(t.value for cache in self._caches for t in (cache.keys, cache.values))
        self._passes = [each.session(kernels) for each in kernels.passes]
        self._choice: dict[Sampling, Captured] = {}  # by what was asked for last
        self._plan = Captured(self._forward, replace(kernels, passes=self._passes), quiet=True)

    def room(self, row: int = 0) -> int:
        """How many more tokens fit."""
        return self.model.block_size - len(self._texts[row])

    def reset(self, row: int | None = None) -> None:
        """Forget what a row read; without `row`, what all of them did."""
        for i in range(self.rows) if row is None else [row]:
            self._texts[i] = []

    def read(self, tokens: Sequence[Sequence[int]]) -> list[list[float]]:
        """Advance, and return the logits (V,) of what comes next in each row; [] of an idle one."""
        self.advance(tokens)
        return [row.tolist() if new else [] for row, new in zip(rows(self.logits.data), tokens)]

    def choose(self, chances: Sequence[int], sampling: Sampling) -> list[tuple[int, float, float]]:
        """What comes next in each row, by a chance of its own: token, probability and logprob, as ops.sample has them.

        What an idle row gets means nothing.
        """
        if sampling not in self._choice:
            settings = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
            self._choice = {sampling: Captured(lambda some: ops.sample(self.logits, some, **settings), self.kernels)}
        return list(zip(*[each.tolist() for each in self._choice[sampling](tensor(chances, "int32"))]))

    def advance(self, tokens: Sequence[Sequence[int]]) -> None:
        """Read new tokens in each row, and write its logits.

        A row without new tokens is idle: it keeps its text and its logits. Raises DataError for tokens that there
        is no room for or that aren't in the vocabulary; no row has read anything then.

        All rows are read in one length, a power of two, so that a few plans serve every prompt. What stands
        behind a row's end is written over before anything can see it. Where there is no room for it, the row
        begins earlier: tokens that it read before put the same keys and values into the cache again.
        """
        block_size = self.model.block_size
        if len(tokens) != self.rows:
            raise DataError(f"a session of {self.rows} row(s) takes a list of tokens for each, found {len(tokens)}")
        for row, new in enumerate(tokens):
            if len(new) > (room := self.room(row)):
                raise DataError(f"row {row} of {block_size} tokens has room for {room} more, found {len(new)}")
        texts = [[*text, *new] for text, new in zip(self._texts, tokens)]
        known = [len(text) if self._caches else 0 for text in self._texts]
        longest = max(len(text) - at if new else 0 for text, at, new in zip(texts, known, tokens))
        if not longest:
            return
        length = bucket(longest, block_size)
        starts = [min(at, block_size - length) for at in known]
        ids = [(text[at:] + [PADDING] * length)[:length] for text, at in zip(texts, starts)]
        write(self._start.data, starts)
        for each in self._passes if not any(self._texts) else ():  # no cache depends on what parameters were
            each.renew()
        logits = self._plan(tensor(ids, "int32"), tensor([list(range(at, at + length)) for at in starts], "int32"))
        self._texts = texts
        for row, (text, at, new) in enumerate(zip(texts, starts, tokens)):
            if new:
                found = rows(logits.data)[row * length + len(text) - 1 - at]
                rows(self.logits.data)[row][:] = found[: self.model.vocab_size]

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        with no_grad():
            return self.model(tokens, positions, self._caches or None)


def bucket(n: int, most: int) -> int:
    """The length in which n tokens are read: the next power of two, if that isn't too long."""
    return min(1 << (n - 1).bit_length(), most)
