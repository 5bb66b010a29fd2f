"""Batches: the golden order, every number in its place, the same batch whenever it is asked for."""

import random
from array import array
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from microgpt_core.errors import ConfigurationError, DataError, UnknownNameError
from microgpt_core.text.batches import (
    BATCHING,
    IGNORED,
    SHUFFLE,
    Batch,
    Batches,
    encode_documents,
    evaluation_batches,
)
from microgpt_core.text.char import Char

DOCUMENTS = [[i] * (i % 7 + 1) for i in range(1, 24)]  # every document has its own number
LONG = [list(range(1, 101))]


def batches(documents=DOCUMENTS, **options):
    defaults = {"batch_size": 4, "block_size": 5, "seed": 1, "rng": random.Random(42), "bos": 0}
    return Batches(documents, **{**defaults, **options})


def rows(batch):
    """The batch as lists: (tokens, targets, positions) of each row, with the padding."""
    b, t = batch.shape
    return [tuple(x[i * t : i * t + t].tolist() for x in batch[:3]) for i in range(b)]


def targets(batch):
    """Every (token, target) pair that counts."""
    return [(x, y) for x, y in zip(batch.tokens, batch.targets, strict=True) if y != IGNORED]


def check_batch(batch):
    """What holds for every batch."""
    b, t = batch.shape
    assert [len(x) for x in batch[:3]] == [b * t] * 3
    assert {x.typecode for x in batch[:3]} == {"i"}
    assert batch.n_targets == len(targets(batch)) > 0
    assert all(0 <= p <= i % t for i, p in enumerate(batch.positions))  # a document starts in its own row


# The golden order: Python's own.


def test_the_first_epoch_is_the_programs_own_shuffle():
    documents = [f"name {i}" for i in range(1000)]
    random.seed(42)
    shuffled = documents[:]
    random.shuffle(shuffled)
    next_draws = [random.gauss(0, 0.02) for _ in range(10)]

    rng = random.Random(42)
    made = batches([[i] for i in range(1000)], batch_size=1, rng=rng, shuffle="once", bos=1000)
    for step in (0, 1, 999, 1000, 2500):
        assert documents[made.batch(step).tokens[1]] == shuffled[step % 1000]
    assert [rng.gauss(0, 0.02) for _ in range(10)] == next_draws


def test_the_golden_order_of_ten():
    # python -c "import random; random.seed(42); d = list(range(10)); random.shuffle(d); print(d)"
    made = batches([[i] for i in range(10)], batch_size=10, bos=10)
    assert [row[0][1] for row in rows(made.batch(0))] == [7, 3, 2, 8, 5, 6, 9, 4, 0, 1]


def test_random_windows_draw_nothing_from_the_stream():
    rng = random.Random(42)
    batches(LONG, batching="random_window", rng=rng).batch(0)
    assert rng.getstate() == random.Random(42).getstate()


@pytest.mark.parametrize("batching", ["documents", "packed"])
def test_the_stream_is_drawn_from_once(batching):
    rng, same = random.Random(42), random.Random(42)
    made = batches(batching=batching, rng=rng)
    same.shuffle(list(range(len(DOCUMENTS))))
    for step in range(30):
        made.batch(step)
    assert rng.getstate() == same.getstate()


# What is in a batch.


@pytest.mark.parametrize(
    ("documents", "options", "expected"),
    [
        ([[5, 6]], {}, [([0, 5, 6], [5, 6, 0], [0, 1, 2])]),
        ([[5, 6]], {"bos": None}, [([5], [6], [0])]),
        ([[5, 6]], {"block_size": 2}, [([0, 5], [5, 6], [0, 1])]),
        ([[5, 6]], {"block_size": 1}, [([0], [5], [0])]),
        ([[5, 6, 7]], {"block_size": 2, "bos": None}, [([5, 6], [6, 7], [0, 1])]),
        ([[]], {}, [([0], [0], [0])]),
        (
            [[5, 6], [7], [8, 9, 10, 11, 12, 13]],
            {"batch_size": 3},
            [
                ([0, 5, 6, 0, 0], [5, 6, 0, -1, -1], [0, 1, 2, 3, 4]),
                ([0, 7, 0, 0, 0], [7, 0, -1, -1, -1], [0, 1, 2, 3, 4]),
                ([0, 8, 9, 10, 11], [8, 9, 10, 11, 12], [0, 1, 2, 3, 4]),
            ],
        ),
        ([[5, 6]], {"batching": "packed"}, [([0, 5, 6, 0, 0], [5, 6, 0, -1, -1], [0, 1, 2, 0, 0])]),
        (
            [[5], [6, 7], [8]],
            {"batching": "packed", "batch_size": 2, "block_size": 4},
            [([0, 5, 0, 6, 7, 0, 8, 0], [5, 0, 6, 7, 0, 8, 0, -1], [0, 1, 0, 1, 2, 0, 1, 0])],
        ),
        (
            [[5], [6, 7, 8, 9]],
            {"batching": "packed", "batch_size": 2, "block_size": 3},
            [([0, 5, 0, 6, 7, 0], [5, 0, 6, 7, 8, -1], [0, 1, 0, 1, 2, 0])],
        ),
        (
            [[5, 6], [7]],
            {"batching": "random_window"},
            [([0, 5, 6, 0, 7], [5, 6, 0, 7, 0], [0, 1, 2, 3, 4])],
        ),
        (
            [[5, 6], [7, 8, 9, 1]],
            {"batching": "random_window", "bos": None},
            [([5, 6, 7, 8, 9], [6, 7, 8, 9, 1], [0, 1, 2, 3, 4])],
        ),
    ],
)
def test_layout(documents, options, expected):
    options = {"batch_size": 1, "block_size": 5, "bos": 0, **options}
    (batch,) = evaluation_batches(documents, **options)
    check_batch(batch)
    assert rows(batch) == expected
    made = batches(documents, **options).batch(0)
    if len(documents) == 1 or options.get("batching") == "random_window":
        assert made == batch
    elif options.get("batching") != "packed":
        assert Counter(map(str, rows(made))) == Counter(map(str, expected))


def test_a_batch_is_completed_from_the_next_epoch():
    made = batches([[i] for i in range(1, 8)], batch_size=3)
    seen = [row[0][1] for step in range(7) for row in rows(made.batch(step))]
    assert len(seen) == 21
    epochs = [seen[:7], seen[7:14], seen[14:]]
    assert [sorted(epoch) for epoch in epochs] == [[1, 2, 3, 4, 5, 6, 7]] * 3
    assert len(set(map(tuple, epochs))) == 3


def test_a_batch_may_be_longer_than_the_epoch():
    made = batches([[1], [2]], batch_size=7)
    assert Counter(row[0][1] for row in rows(made.batch(3))) in (Counter({1: 4, 2: 3}), Counter({1: 3, 2: 4}))


def test_later_epochs_have_their_own_seeded_order():
    made = batches([[i] for i in range(50)], batch_size=50)
    order = list(range(50))
    random.Random("1/3").shuffle(order)
    assert [row[0][1] for row in rows(made.batch(3))] == order
    assert made.batch(3) == batches([[i] for i in range(50)], batch_size=50, rng=random.Random(7)).batch(3)
    assert made.batch(3) != batches([[i] for i in range(50)], batch_size=50, seed=2).batch(3)


@pytest.mark.parametrize("shuffle", SHUFFLE)
def test_a_packed_epoch_is_every_document_once_and_then_the_next_begins(shuffle):
    made = batches(batching="packed", batch_size=3, block_size=4, shuffle=shuffle)
    everything = expected_targets(DOCUMENTS, "documents", 4, 0)
    step = 0
    for _epoch in range(5):
        seen: Counter = Counter()
        while seen.total() < everything.total():
            batch = made.batch(step)
            check_batch(batch)
            assert batch.shape == (1, 12)
            seen.update(targets(batch))
            step += 1
        assert seen == everything


def test_packing_leaves_no_room_for_the_next_document():
    packed = list(evaluation_batches(DOCUMENTS, batching="packed", batch_size=2, block_size=5, bos=0))
    for this, following in pairwise(packed):
        first_length = 1 + next(i for i, p in enumerate([*following.positions[1:], 0]) if p == 0)
        assert this.n_targets + first_length > 10


def test_every_window_and_no_other_can_come():
    made = batches(LONG, batching="random_window", block_size=90, batch_size=50)
    starts = {row[0][0] for step in range(20) for row in rows(made.batch(step))}
    assert starts == set(range(0, 12))  # 102 ids with their BOS: 91 are needed, so 12 places


@pytest.mark.parametrize("bos", [0, None])
def test_windows_are_pieces_of_the_text(bos):
    made = batches(LONG, batching="random_window", bos=bos)
    for step in range(50):
        batch = made.batch(step)
        check_batch(batch)
        assert batch.shape == (4, 5)
        for tokens, following, positions in rows(batch):
            assert following[:-1] == tokens[1:]
            assert positions == [0, 1, 2, 3, 4]
            assert all(y in (x + 1, 0) for x, y in zip(tokens, following, strict=True))


# Purity: what a resumed run relies on.


def differing(make, steps):
    """The steps whose batch depends on what was asked before: the check that the planted bug must not pass."""
    straight = [make().batch(step) for step in range(steps)]
    order = [*range(steps), *reversed(range(steps))]
    random.Random(0).shuffle(order)
    made = make()
    return {step for step in order if made.batch(step) != straight[step]}


@pytest.mark.parametrize("shuffle", SHUFFLE)
@pytest.mark.parametrize("batching", BATCHING)
def test_a_batch_is_the_same_whenever_it_is_asked_for(batching, shuffle):
    assert differing(lambda: batches(batching=batching, shuffle=shuffle), 60) == set()


def test_the_check_finds_hidden_state():
    class Forgetful(Batches):
        """The planted bug: it counts its own steps."""

        count = -1

        def batch(self, step):
            self.count += 1
            return super().batch(self.count)

    assert differing(lambda: Forgetful(DOCUMENTS, batch_size=4, block_size=5, seed=1, rng=random.Random(42), bos=0), 60)


# Evaluation.


def expected_targets(documents, batching, block_size, bos):
    """Every pair that evaluation has to see, by a way of its own."""
    edge = [] if bos is None else [bos]
    if batching == "random_window":
        stream = edge + [i for document in documents for i in [*document, *edge]]
        return Counter(pairwise(stream))
    framed = [edge + document + edge for document in documents]
    return Counter(pair for ids in framed for pair in list(pairwise(ids))[:block_size])


def missed_or_doubled(made, expected):
    """The pairs that came too seldom or too often: the check that the planted bug must not pass."""
    seen = Counter(pair for batch in made for pair in targets(batch))
    return (seen - expected) + (expected - seen)


@given(
    st.lists(st.lists(st.integers(1, 200), min_size=2, max_size=12), min_size=1, max_size=12),
    st.sampled_from(BATCHING),
    st.integers(1, 5),
    st.integers(1, 9),
    st.sampled_from([0, None]),
)
def test_evaluation_sees_everything_once(documents, batching, batch_size, block_size, bos):
    made = list(evaluation_batches(documents, batching=batching, batch_size=batch_size, block_size=block_size, bos=bos))
    for batch in made:
        check_batch(batch)
        assert batch.shape[0] <= batch_size
        assert batch.shape[1] <= block_size or batching == "packed"
    assert not missed_or_doubled(made, expected_targets(documents, batching, block_size, bos))


def test_the_check_finds_a_lost_and_a_doubled_batch():
    made = list(evaluation_batches(DOCUMENTS, batch_size=4, block_size=5, bos=0))
    expected = expected_targets(DOCUMENTS, "documents", 5, 0)
    assert missed_or_doubled(made[:-1], expected)
    assert missed_or_doubled([*made, made[0]], expected)


@pytest.mark.parametrize(
    ("n", "shapes"),
    [(8, [(2, 4)]), (9, [(2, 4), (1, 1)]), (4, [(1, 4)]), (3, [(1, 3)]), (22, [(2, 4), (2, 4), (1, 4), (1, 2)])],
)
def test_the_windows_of_an_evaluation(n, shapes):
    made = evaluation_batches([list(range(n + 1))], batching="random_window", batch_size=2, block_size=4, bos=None)
    assert [batch.shape for batch in made] == shapes


# Mistakes.


@pytest.mark.parametrize(
    ("documents", "options", "error", "message"),
    [
        ([], {}, DataError, "no documents"),
        ([[1, 2], [3]], {"bos": None}, DataError, r"document 1 has 1 token\(s\); at least 2"),
        ([[1, 2], []], {"bos": None, "batching": "packed"}, DataError, r"document 1 has 0 token\(s\)"),
        ([[1]], {"batching": "random_window"}, DataError, r"3 token\(s\), a window of block_size 5 needs 6"),
        ([[1, 2, 3, 4, 5]], {"batching": "random_window", "bos": None}, DataError, r"5 token\(s\).* needs 6"),
        (DOCUMENTS, {"batching": "document"}, UnknownNameError, "did you mean 'documents'"),
        (DOCUMENTS, {"shuffle": "never"}, UnknownNameError, "known: epoch, once"),
        (DOCUMENTS, {"batch_size": 0}, ConfigurationError, "batch_size: 0 is too small; allowed: 1 or more"),
        (DOCUMENTS, {"block_size": -1}, ConfigurationError, "block_size: -1"),
    ],
)
def test_mistakes_are_named(documents, options, error, message):
    with pytest.raises(error, match=message):
        batches(documents, **options)


@pytest.mark.parametrize(
    ("documents", "batching", "message"),
    [
        ([], "documents", "no documents"),
        ([[1]], "packed", "document 0 has 1 token"),
        ([[1]], "random_window", "the evaluation text has 1 token"),
        ([[]], "random_window", "the evaluation text has 0 token"),
    ],
)
def test_an_evaluation_of_nothing_is_an_error_at_once(documents, batching, message):
    with pytest.raises(DataError, match=message):
        evaluation_batches(documents, batching=batching, batch_size=1, block_size=4, bos=None)


def test_a_window_that_just_fits():
    made = batches([[1, 2, 3, 4, 5, 6]], batching="random_window", bos=None, batch_size=1)
    assert rows(made.batch(0)) == [([1, 2, 3, 4, 5], [2, 3, 4, 5, 6], [0, 1, 2, 3, 4])]


def test_a_negative_step_is_an_error():
    with pytest.raises(IndexError, match="step -1"):
        batches().batch(-1)


def test_encode_documents_names_the_document():
    tokenizer = Char().train(["ab"])
    assert encode_documents(tokenizer, iter(["a", "ba"])) == [[1], [2, 1]]
    with pytest.raises(DataError, match="document 2: unknown character 'c'"):
        encode_documents(tokenizer, ["a", "b", "abc"])


def test_a_megabyte_in_windows():
    made = batches([[i % 65 for i in range(1_000_000)]], batching="random_window", batch_size=16, block_size=256)
    for step in range(100):
        assert made.batch(step).shape == (16, 256)


def test_a_batch_holds_arrays():
    assert isinstance(batches().batch(0), Batch)
    assert isinstance(batches().batch(0).tokens, array)


@pytest.mark.parametrize(
    "ids", [array("H", range(50)), array("i", range(50)), memoryview(bytes(range(50))), list(range(50))]
)
def test_ids_of_any_width_make_the_same_windows(ids) -> None:
    """A single document without BOS is the stream itself, as it is: perhaps a file of two bytes a token."""
    options = {"batching": "random_window", "batch_size": 2, "block_size": 4, "bos": None}
    (first, *_) = evaluation_batches([ids], **options)
    assert first.tokens == array("i", [0, 1, 2, 3, 4, 5, 6, 7])
    drawn = Batches([ids], seed=1, rng=random.Random(1), **options).batch(3)
    assert drawn.targets == array("i", [i + 1 for i in drawn.tokens])


def test_evaluation_makes_its_windows_when_they_are_asked_for() -> None:
    made = evaluation_batches([range(10**9)], batching="random_window", batch_size=2, block_size=4, bos=None)
    assert len(made) == 125_000_001  # of two windows each, one of a single one, and what is left
    assert made[-1].tokens == array("i", [999_999_996, 999_999_997, 999_999_998])
    assert made[-2].tokens == array("i", range(999_999_992, 999_999_996))
    assert list(made[:2]) == [made[0], made[1]]
    assert made[124_999_998].shape == made[0].shape == (2, 4)
    with pytest.raises(IndexError):
        made[125_000_001]
