"""Documents to ids in several processes, in the order in which they came."""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from importlib import import_module
from importlib.machinery import PathFinder
from itertools import islice
from multiprocessing import get_context
from typing import Any, NamedTuple

from microgpt_core.components import Tokenizer
from microgpt_core.errors import DataError, DoesNotFitError

CHARACTERS = 1 << 19  # of the documents that a process gets at once: half a second for a slow tokenizer
AHEAD = 3  # pieces for each process that wait to be encoded, or to be written


class Piece(NamedTuple):
    """Some documents as ids, each with a BOS behind it where there is one."""

    ids: bytes
    documents: int
    characters: int


class Encoder:
    """What a process is sent to encode with: a tokenizer as data, since not every one can be pickled."""

    def __init__(self, tokenizer: Tokenizer, typecode: str) -> None:
        cls = type(tokenizer)
        self.module, self.name, self.state = cls.__module__, cls.__qualname__, tokenizer.to_dict()
        self.typecode = typecode

    def tokenizer(self) -> Tokenizer:
        cls: Any = import_module(self.module)
        for step in self.name.split("."):
            cls = getattr(cls, step)
        made: Tokenizer = cls.from_dict(self.state)
        return made


class Working:
    """What a process keeps between pieces."""

    tokenizer: Tokenizer
    typecode: str


def begin(encoder: Encoder) -> None:
    """In a process of the pool: make the tokenizer."""
    Working.tokenizer, Working.typecode = encoder.tokenizer(), encoder.typecode


def encode_there(first: int, texts: list[str]) -> Piece:
    return encode(Working.tokenizer, Working.typecode, first, texts)


def encode(tokenizer: Tokenizer, typecode: str, first: int, texts: list[str]) -> Piece:
    """The ids of some documents, of which the first has this number. Raises DataError naming the document."""
    ids, bos = array(typecode), tokenizer.bos
    for i, text in enumerate(texts, first):
        try:
            ids.extend(tokenizer.encode(text))
        except DataError as error:
            raise DataError(f"document {i}: {error}") from None
        if bos is not None:
            ids.append(bos)
    return Piece(ids.tobytes(), len(texts), sum(map(len, texts)))


def pieces(texts: Iterable[str], first: int) -> Iterator[tuple[int, list[str]]]:
    """The documents in groups of about the same number of characters, each with the number of its first."""
    group, size = list[str](), 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= CHARACTERS:
            yield first, group
            first, group, size = first + len(group), [], 0
    if group:
        yield first, group


def encoded(tokenizer: Tokenizer, typecode: str, texts: Iterable[str], first: int, processes: int) -> Iterator[Piece]:
    """Every piece as ids, in order. With one process, here; others are begun afresh: no lock is inherited.

    A tokenizer of a pack in one file, which others can't import, encodes here as well.
    """
    groups = pieces(texts, first)
    if processes == 1 or PathFinder.find_spec(type(tokenizer).__module__.partition(".")[0]) is None:
        for number, group in groups:
            yield encode(tokenizer, typecode, number, group)
        return
    with ExitStack() as opened:
        encoder = Encoder(tokenizer, typecode)
        context = get_context("spawn")
        pool = opened.enter_context(ProcessPoolExecutor(processes, context, initializer=begin, initargs=(encoder,)))
        opened.callback(pool.shutdown, cancel_futures=True)
        waiting: deque[Future[Piece]] = deque()
        while True:
            for number, group in islice(groups, AHEAD * processes - len(waiting)):
                waiting.append(pool.submit(encode_there, number, group))
            if not waiting:
                return
            try:
                piece = waiting.popleft().result()
            except BrokenProcessPool:
                how = "perhaps memory was short; what was written stays, so try again with fewer: --processes 1"
                raise DoesNotFitError(f"a process that encodes was ended from outside; {how}") from None
            yield piece
