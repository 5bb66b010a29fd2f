"""Splits: nothing on both sides, an exact fraction, the same answer every time."""

import random

import pytest
from hypothesis import given, strategies as st

from microgpt_core.errors import ConfigurationError
from microgpt_core.text.split import split_documents, split_text

DOCUMENTS = [f"document {i % 70}" for i in range(100)]  # the first 30 come twice


def contaminated(split):
    """The documents on both sides: the check that the planted bug must not pass."""
    train, validation = split
    return set(train) & set(validation)


def careless_split(documents, validation, seed):
    """The planted bug: it forgets that documents may come twice."""
    order = random.Random(seed).sample(range(len(documents)), len(documents))
    held_out = set(order[: round(validation * len(documents))])
    sides = ([], [])
    for i, document in enumerate(documents):
        sides[i in held_out].append(document)
    return sides


@pytest.mark.parametrize("seed", range(20))
def test_no_document_is_on_both_sides(seed):
    assert not contaminated(split_documents(DOCUMENTS, 0.1, seed))


def test_the_check_finds_a_careless_split():
    assert any(contaminated(careless_split(DOCUMENTS, 0.1, seed)) for seed in range(20))


@given(st.lists(st.text(max_size=3), min_size=2), st.floats(0, 0.5), st.integers())
def test_both_sides_together_are_the_source_in_order(documents, validation, seed):
    train, held_out = split_documents(documents, validation, seed)
    assert not contaminated((train, held_out))
    assert sorted(train + held_out) == sorted(documents)
    for side in (train, held_out):
        assert side == [d for d in documents if d in set(side)]


@pytest.mark.parametrize(
    ("n", "validation", "expected"),
    [(100, 0.1, 10), (100, 0.5, 50), (100, 0.254, 25), (100, 0, 0), (100, 0.001, 1), (2, 0.1, 1), (3, 0.5, 2)],
)
def test_the_fraction_of_distinct_documents_is_exact(n, validation, expected):
    documents = [str(i) for i in range(n)] * 2
    train, held_out = split_documents(documents, validation, 0)
    assert (len(set(held_out)), len(held_out), len(train)) == (expected, 2 * expected, 2 * (n - expected))


def test_the_seed_and_only_the_seed_chooses():
    split = split_documents(DOCUMENTS, 0.1, 0)
    assert split == split_documents(DOCUMENTS, 0.1, 0)
    assert split != split_documents(DOCUMENTS, 0.1, 1)
    assert set(split[1]) == set(split_documents(DOCUMENTS[::-1], 0.1, 0)[1])


def test_the_choice_never_moves():
    documents = [str(i) for i in range(30)]
    # for i in $(seq 0 29); do echo "$(printf '0/%s' $i | sha256sum) $i"; done | sort | head -3
    assert split_documents(documents, 0.1, 0)[1] == ["10", "16", "28"]


def test_only_copies_of_one_document_stay_together():
    assert split_documents(["a", "a"], 0.1, 0) == (["a", "a"], [])


@pytest.mark.parametrize(
    ("text", "validation", "expected"),
    [
        ("0123456789", 0.1, (["012345678"], ["9"])),
        ("0123456789", 0.5, (["01234"], ["56789"])),
        ("0123456789", 0, (["0123456789"], [])),
        ("ab", 0.01, (["a"], ["b"])),
        ("a", 0.1, ([], ["a"])),
        ("", 0.1, ([], [])),
    ],
)
def test_one_document_is_split_by_position(text, validation, expected):
    assert split_text(text, validation) == expected
    assert split_documents([text], validation, 5) == expected


def texts_of(*sizes):
    """Texts of so many characters, no two of which are alike anywhere."""
    numbers = "".join(f"{i:08}" for i in range(sum(sizes) // 8 + 1))
    return [numbers[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(len(sizes))]


@pytest.mark.parametrize("sizes", [(20_000, 30_000), (30_000, 20_000), (2_000, 1_000, 90_000, 100, 500, 9_000)])
def test_of_a_few_long_documents_each_is_split_by_position(sizes):
    documents = texts_of(*sizes)
    train, held_out = split_documents(documents, 0.1, 0)
    assert [head + end for head, end in zip(train, held_out, strict=True)] == documents
    assert sum(map(len, held_out)) == pytest.approx(sum(sizes) / 10, abs=len(sizes))
    assert (train, held_out) == split_documents(documents, 0.1, 1)


def test_copies_of_a_few_long_documents_are_cut_at_the_same_place():
    first, second = texts_of(20_000, 30_000)
    train, held_out = split_documents([first, second, first], 0.1, 0)
    assert not contaminated((train, held_out))
    assert held_out == [first[18_000:], second[27_000:], first[18_000:]]


def test_an_end_that_is_the_head_of_another_document_is_never_held_out():
    (text,) = texts_of(20_000)
    documents = [text, text[18_000:] + text[18_000 : 18_000 + 223]]  # the second's head is the first's end
    sides = split_documents(documents, 0.1, 0)
    assert not contaminated(sides)
    assert sorted(map(len, (*sides[0], *sides[1]))) == [2223, 20_000]


@pytest.mark.parametrize(
    ("sizes", "validation"),
    [((900, 1_000), 0.1), ((9_000,) * 10, 0.1), ((2_000, 2_000), 0.5), ((9_000,) * 50, 0.01), ((9_000, 9_000), 0)],
)
def test_documents_stay_whole_where_they_are_short_or_many_enough(sizes, validation):
    documents = texts_of(*sizes)
    assert sorted([*sum(split_documents(documents, validation, 0), [])]) == sorted(documents)


@pytest.mark.parametrize("validation", [-0.1, 0.51, 1, 10, float("nan"), float("inf")])
def test_a_fraction_that_is_none_is_an_error(validation):
    with pytest.raises(ConfigurationError, match=r"validation: found .*, allowed: 0 .* to 0.5"):
        split_documents(DOCUMENTS, validation, 0)
