"""Batches of a stream: every document once an epoch, the same at each step, and never all of them at once."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

import pytest

from microgpt_core.errors import DataError, UnknownNameError
from microgpt_core.text.batch import Batch
from microgpt_core.text.batches import BATCHING
from microgpt_core.text.char import Char
from microgpt_core.text.streamed import StreamedBatches, shuffled

WORDS = [chr(97 + i % 26) * (1 + i % 5) + chr(97 + i // 26) for i in range(40)]
TOKENIZER = Char().train(WORDS)


def made(documents: Any = WORDS, **options: Any) -> StreamedBatches:
    settings = {"buffer": 7, "batch_size": 4, "block_size": 6, "seed": 5}
    return StreamedBatches(documents, TOKENIZER, **{**settings, **options})


def texts_of(batch: Batch) -> list[str]:
    rows, width = batch.shape
    return [TOKENIZER.decode(batch.tokens[i * width : (i + 1) * width]) for i in range(rows)]


@pytest.mark.parametrize("batching", BATCHING)
def test_a_step_has_the_same_batch_whatever_was_asked_for_before(batching: str) -> None:
    source = made(batching=batching)
    in_turn = [source.batch(step) for step in range(30)]
    for step in (29, 3, 3, 4, 17, 0):
        assert source.batch(step) == in_turn[step]
    assert made(batching=batching).batch(25) == in_turn[25]  # as after a resume
    assert made(batching=batching, seed=6).batch(0) != in_turn[0]


def test_every_document_comes_once_an_epoch_in_another_order() -> None:
    source = made(block_size=9)
    drawn = [text for step in range(20) for text in texts_of(source.batch(step))]
    assert Counter(drawn[:40]) == Counter(drawn[40:]) == Counter(WORDS)
    assert drawn[:40] != drawn[40:]


def test_packed_batches_hold_whole_documents() -> None:
    source = made(batching="packed")
    found = Counter(text for step in range(40) for text in texts_of(source.batch(step))[0].split("\0"))
    assert sum(found.values()) >= 40
    assert all(batch.shape == (1, 24) for batch in map(source.batch, range(5)))
    assert all(batch.n_targets <= 24 for batch in map(source.batch, range(5)))


def test_windows_follow_each_other() -> None:
    source = made(batching="random_window", buffer=1)
    ids = [i for step in range(4) for i in source.batch(step).tokens]
    expected = [0]
    for word in WORDS:
        expected += [*TOKENIZER.encode(word), 0]
    assert ids == expected[: len(ids)]
    assert source.batch(0).targets[:-1] == source.batch(0).tokens[1:]
    assert source.batch(0).targets[-1] == source.batch(1).tokens[0]


def test_no_more_is_read_than_the_buffer_and_the_batch_need() -> None:
    read = [0]

    class Endless:
        def __iter__(self) -> Iterator[str]:
            while True:
                read[0] += 1
                yield "abc"

    made(Endless()).batch(9)
    assert 7 + 10 * 4 <= read[0] <= 7 + 10 * 4 + 2


def test_the_buffer_shuffles_among_its_own() -> None:
    numbered = [(i, str(i)) for i in range(1000)]
    drawn = [i for i, _ in shuffled(iter(numbered), 50, Random(1))]
    assert sorted(drawn) == list(range(1000))
    assert drawn != list(range(1000))
    assert all(i <= place + 50 for place, i in enumerate(drawn))
    assert [i for i, _ in islice(shuffled(iter(numbered), 1, Random(1)), 100)] == list(range(100))


@pytest.mark.parametrize(
    ("documents", "options", "error", "message"),
    [
        ([], {}, DataError, "there are no documents"),
        (["ab", "a!"], {}, DataError, "document 1: "),
        ([""], {"block_size": 1}, None, ""),
        (["ab"], {"batching": "pakced"}, UnknownNameError, "did you mean 'packed'"),
    ],
)
def test_what_cant_be_batched(documents: list[str], options: dict[str, Any], error: Any, message: str) -> None:
    if error is None:
        assert made(documents, **options).batch(0).n_targets == 4
        return
    with pytest.raises(error, match=message):
        made(documents, **options).batch(0)


def test_a_step_before_the_first_is_refused() -> None:
    with pytest.raises(IndexError, match="the first is 0"):
        made().batch(-1)
