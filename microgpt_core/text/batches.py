"""Which documents a step sees: a pure function of the seed and the step, so that a resumed run sees the same.

`Batches` draws for training, `evaluation_batches` goes once over everything. How documents are laid out in a
batch is batch.py's.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from random import Random

from microgpt_core.components.text import IGNORED, Tokenizer
from microgpt_core.errors import ConfigurationError, DataError, UnknownNameError
from microgpt_core.text.batch import Batch, Ids, Windows, packed, packs, padded, windows

__all__ = ["BATCHING", "IGNORED", "SHUFFLE", "Batch", "Batches", "encode_documents", "evaluation_batches"]

BATCHING = ("documents", "packed", "random_window")
SHUFFLE = ("epoch", "once")
PAIR = "one to read and one to predict"


class Batches:
    """The batches of a training run.

    `documents` are ids without BOS; where `bos` is given it stands before and after each. `batching` says what
    a batch is made of:

    * `documents`: `batch_size` rows, each the first `block_size` positions of a document, padded to the longest.
      Where an epoch ends in the middle of a batch, the next one fills it.
    * `packed`: one row of `batch_size * block_size` positions with as many whole documents (of which, again, the
      first `block_size` positions) as fit. An epoch ends with a batch, perhaps a short one.
    * `random_window`: `batch_size` windows of `block_size` positions at random places of the documents' text,
      joined with one BOS between them.

    `per_epoch` batches show every document once, or as many tokens as there are.

    The first epoch's order is `rng.shuffle`'s, drawn here, so that a program can go on drawing from `rng`; a later
    epoch's is its own, or the first one's again with shuffle="once". `random_window` draws nothing from `rng`.
    """

    def __init__(
        self,
        documents: Sequence[Ids],
        *,
        batching: str = "documents",
        batch_size: int,
        block_size: int,
        seed: int,
        rng: Random,
        shuffle: str = "epoch",
        bos: int | None,
    ) -> None:
        check(documents, batching, batch_size, block_size)
        if shuffle not in SHUFFLE:
            raise UnknownNameError("shuffle", shuffle, SHUFFLE)
        self.batch_size, self.block_size, self.seed, self.shuffle = batch_size, block_size, seed, shuffle
        self._make: Callable[[int], Batch]
        if batching == "random_window":
            self._stream = joined(documents, bos)
            if len(self._stream) <= block_size:
                needed = f"a window of block_size {block_size} needs {block_size + 1}; take a smaller block_size"
                raise DataError(f"the training text has {len(self._stream)} token(s), {needed}")
            self._make = self._windows
            self.per_epoch = (len(self._stream) - 1) / (batch_size * block_size)
            return
        self._rows = framed(documents, bos, block_size)
        self._first_order = list(range(len(documents)))
        rng.shuffle(self._first_order)
        self._order = lru_cache(2)(self._shuffled)  # a batch may need the end of one epoch and the start of the next
        self._packs = lru_cache(2)(self._packed_epoch)
        self._epoch_starts = [0]  # the first step of each epoch, as far as known
        self._make = self._padded if batching == "documents" else self._packed
        self.per_epoch = len(documents) / batch_size if batching == "documents" else float(len(self._packs(0)))

    def batch(self, step: int) -> Batch:
        """The batch of a step, whichever were asked for before."""
        if step < 0:
            raise IndexError(f"step {step}: the first is 0")
        return self._make(step)

    def _padded(self, step: int) -> Batch:
        n, first = len(self._rows), step * self.batch_size
        return padded([self._rows[self._order(i // n)[i % n]] for i in range(first, first + self.batch_size)])

    def _packed(self, step: int) -> Batch:
        while self._epoch_starts[-1] <= step:  # each epoch packs differently, so its length is known by packing it
            self._epoch_starts.append(self._epoch_starts[-1] + len(self._packs(len(self._epoch_starts) - 1)))
        epoch = bisect_right(self._epoch_starts, step) - 1
        return packed(self._packs(epoch)[step - self._epoch_starts[epoch]], self.batch_size * self.block_size)

    def _windows(self, step: int) -> Batch:
        rng = Random(f"{self.seed}/{step}")
        n_starts = len(self._stream) - self.block_size  # the last window ends with the last token as its target
        starts = [rng.randrange(n_starts) for _ in range(self.batch_size)]
        return windows(self._stream, starts, self.block_size)

    def _shuffled(self, epoch: int) -> list[int]:
        """The documents' order in an epoch."""
        if epoch == 0 or self.shuffle == "once":
            return self._first_order
        order = list(range(len(self._rows)))
        Random(f"{self.seed}/{epoch}").shuffle(order)
        return order

    def _packed_epoch(self, epoch: int) -> list[list[Ids]]:
        """The documents of each batch of an epoch."""
        return list(packed_rows([self._rows[i] for i in self._order(epoch)], self.batch_size * self.block_size))


def evaluation_batches(
    documents: Sequence[Ids], *, batching: str = "documents", batch_size: int, block_size: int, bos: int | None
) -> Sequence[Batch]:
    """Batches in which everything that training could see comes exactly once, in order.

    Consecutive documents, or consecutive windows of the joined text, made when they are asked for; the last batch has
    fewer or shorter rows.
    """
    check(documents, batching, batch_size, block_size)
    if batching == "random_window":
        stream = joined(documents, bos)
        if len(stream) < 2:
            raise DataError(f"the evaluation text has {len(stream)} token(s); at least 2 are needed, {PAIR}")
        return Windows(stream, batch_size, block_size)
    rows = framed(documents, bos, block_size)
    if batching == "packed":
        width = batch_size * block_size
        return [packed(group, width) for group in packed_rows(rows, width)]
    return [padded(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]


def packed_rows(rows: Sequence[Ids], width: int) -> Iterator[list[Ids]]:
    return ([rows[i] for i in pack] for pack in packs([len(ids) - 1 for ids in rows], width))


def framed(documents: Sequence[Ids], bos: int | None, block_size: int) -> list[Ids]:
    """Each document between its BOS, cut after the ids that `block_size` positions need. Raises DataError."""
    edge = [] if bos is None else [bos]
    rows: list[Ids] = []
    for i, document in enumerate(documents):
        ids = array("i", [*edge, *document[: block_size + 1], *edge])[: block_size + 1]
        if len(ids) < 2:
            raise DataError(f"document {i} has {len(ids)} token(s); at least 2 are needed, {PAIR} (a BOS adds two)")
        rows.append(ids)
    return rows


def joined(documents: Sequence[Ids], bos: int | None) -> Ids:
    """All documents in a row, with one BOS at the start, at the end and in between.

    A single one without BOS is the row already, and isn't copied: it may be a file that no memory holds.
    """
    if len(documents) == 1 and bos is None:
        return documents[0]
    edge = array("i", [] if bos is None else [bos])
    stream = edge[:]
    for document in documents:
        stream.extend(document)
        stream.extend(edge)
    return stream


def encode_documents(tokenizer: Tokenizer, texts: Iterable[str]) -> list[list[int]]:
    """The ids of each text. Raises DataError naming the document, counted from 0."""
    documents = []
    for i, text in enumerate(texts):
        try:
            documents.append(tokenizer.encode(text))
        except DataError as error:
            raise DataError(f"document {i}: {error}") from error
    return documents


def check(documents: Sequence[Ids], batching: str, batch_size: int, block_size: int) -> None:
    if batching not in BATCHING:
        raise UnknownNameError("batching", batching, BATCHING)
    for name, value in (("batch_size", batch_size), ("block_size", block_size)):
        if value < 1:
            raise ConfigurationError(f"{name}: {value} is too small; allowed: 1 or more")
    if not documents:
        raise DataError("there are no documents to make batches of")
