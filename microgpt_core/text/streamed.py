"""Batches of documents that memory can't hold all at once: in the order in which they are read, but for a buffer.

Which documents a step sees is still a pure function of the seed and the step: what is asked for out of turn is found
by reading again from the start. How documents are laid out in a batch is batch.py's.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from math import inf
from random import Random
from typing import Any

from microgpt_core.components.text import Tokenizer
from microgpt_core.errors import DataError, UnknownNameError
from microgpt_core.text.batch import Batch, Ids, packed, padded, windows
from microgpt_core.text.batches import BATCHING, framed

Numbered = tuple[int, str]  # a document, and which of all it is


class StreamedBatches:
    """The batches of a training run on documents that are read again in every epoch.

    Of `buffer` documents that wait, one is drawn, and the next one read takes its place. `batching` is as in `Batches`,
    but that a window follows where the one before ended, and that a batch may hold documents of two epochs.
    """

    per_epoch = inf  # nobody has counted

    def __init__(
        self,
        documents: Iterable[str],
        tokenizer: Tokenizer,
        *,
        buffer: int,
        batching: str = "documents",
        batch_size: int,
        block_size: int,
        seed: int,
    ) -> None:
        self.documents, self.tokenizer, self.buffer, self.seed = documents, tokenizer, buffer, seed
        self.batch_size, self.block_size, self.width = batch_size, block_size, batch_size * block_size
        ways: dict[str, tuple[Callable[[], Iterator[Any]], Callable[[Any], Batch]]] = {
            "documents": (self._groups, lambda texts: padded([self._row(text) for text in texts])),
            "packed": (self._packs, lambda rows: packed(rows, self.width)),
            "random_window": (self._stretches, lambda ids: windows(ids, range(0, self.width, block_size), block_size)),
        }
        if batching not in ways:
            raise UnknownNameError("batching", batching, BATCHING)
        self._read, self._lay_out = ways[batching]
        self._pieces, self._next = self._read(), 0  # what batches are made of, and the step of the next

    def batch(self, step: int) -> Batch:
        """The batch of a step, whichever were asked for before; in turn is quickest."""
        if step < 0:
            raise IndexError(f"step {step}: the first is 0")
        if step < self._next:
            self._pieces, self._next = self._read(), 0
        for piece in self._pieces:
            self._next += 1
            if self._next > step:
                return self._lay_out(piece)
        raise DataError("there are no documents to make batches of")

    def _drawn(self) -> Iterator[Numbered]:
        """Documents without end, each once an epoch. Nothing where there are none."""
        for epoch in count():
            one = None
            for one in shuffled(enumerate(self.documents), self.buffer, Random(f"{self.seed}/{epoch}")):
                yield one
            if one is None:
                return

    def _groups(self) -> Iterator[list[Numbered]]:
        drawn = self._drawn()
        while group := list(islice(drawn, self.batch_size)):
            yield group

    def _packs(self) -> Iterator[list[Ids]]:
        rows, used = list[Ids](), 0
        for text in self._drawn():
            row = self._row(text)
            if used + len(row) - 1 > self.width:
                yield rows
                rows, used = [], 0
            rows.append(row)
            used += len(row) - 1

    def _stretches(self) -> Iterator[Ids]:
        edge = [] if self.tokenizer.bos is None else [self.tokenizer.bos]
        ids = array("i", edge)
        for text in self._drawn():
            ids.extend([*self._encoded(text), *edge])
            while len(ids) > self.width:
                yield ids[: self.width + 1]
                ids = ids[self.width :]  # the last target is the next token

    def _row(self, text: Numbered) -> Ids:
        try:
            return framed([self._encoded(text)], self.tokenizer.bos, self.block_size)[0]
        except DataError as error:
            raise DataError(str(error).replace("document 0", f"document {text[0]}", 1)) from None

    def _encoded(self, text: Numbered) -> Ids:
        try:
            return self.tokenizer.encode(text[1])
        except DataError as error:
            raise DataError(f"document {text[0]}: {error}") from error


def shuffled(texts: Iterable[Numbered], buffer: int, rng: Random) -> Iterator[Numbered]:
    """Each once: one of `buffer` that wait, drawn by `rng`, gives its place to the next."""
    waiting: list[Numbered] = []
    for text in texts:
        if len(waiting) < buffer:
            waiting.append(text)
            continue
        i = rng.randrange(buffer)
        yield waiting[i]
        waiting[i] = text
    rng.shuffle(waiting)
    yield from waiting
