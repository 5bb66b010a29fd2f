"""Merges are those of the simplest possible trainer, whatever the order, the process and the shortcuts."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from microgpt_tokenizers.bpe import training
from microgpt_tokenizers.bpe.choice import trainer
from microgpt_tokenizers.bpe.splitting import Splitter

FEW_LETTERS = st.lists(st.text("ab \n", max_size=30), max_size=5)


def naive_merges(texts, n_merges, pattern="gpt2", min_frequency=2, largest=False):
    """Count every pair anew for each merge. `largest` breaks ties the wrong way."""
    words = [list(chunk.encode()) for text in texts for chunk in Splitter(pattern).chunks(text)]
    names, merges = [bytes([i]) for i in range(256)], []
    for _ in range(n_merges):
        counts = Counter(pair for word in words for pair in pairwise(word))
        most = max(counts.values(), default=0)
        if most < max(min_frequency, 1):
            break
        tied = [pair for pair, count in counts.items() if count == most]
        a, b = sorted(tied, key=lambda pair: (names[pair[0]], names[pair[1]]), reverse=largest)[0]
        merges.append((a, b))
        names.append(names[a] + names[b])
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == (a, b):
                    word[i : i + 2] = [len(names) - 1]
                i += 1
    return merges


TEXTS = {
    "runs": ["aaaa aaa aa a", "aaaaaaa"],
    "ties": ["ab cd ef ab cd ef", "zz yy"],
    "nothing": [],
    "empty texts": ["", ""],
    "words": ["low lower lowest newer newest wide wider widest"] * 3,
    "numbers": ["1 12 123 1234 12345 1,234,567"] * 2,
}


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k", r"[a-z]+|\s"])
@pytest.mark.parametrize("name", TEXTS)
def test_merges_are_those_of_a_naive_trainer(implementation, name, pattern):
    texts = TEXTS[name]
    assert trainer()(texts, 60, pattern=pattern) == naive_merges(texts, 60, pattern)


@pytest.mark.parametrize("min_frequency", [1, 3, 10])
def test_rare_pairs_are_left_alone(implementation, scripts, min_frequency):
    texts = [*scripts.values()] * 2
    found = trainer()(texts, 200, pattern="gpt2", min_frequency=min_frequency)
    assert found == naive_merges(texts, 200, min_frequency=min_frequency)


@given(FEW_LETTERS)
def test_merges_of_random_texts(texts):
    assert training.train_merges(texts, 40, pattern="gpt2") == naive_merges(texts, 40)


def test_the_comparison_finds_another_order_of_ties():
    texts = TEXTS["ties"]
    assert training.train_merges(texts, 5, pattern="gpt2") != naive_merges(texts, 5, largest=True)


def test_equal_counts_go_by_the_bytes(implementation):
    merges = trainer()(["zz yy xx"], 3, pattern="gpt2", min_frequency=1)
    assert merges == [(32, 120), (32, 121), (256, 120)]  # " x", " y", then " xx", which comes before " yy" and "zz"


def test_the_order_of_texts_does_not_matter(implementation, scripts):
    texts = [*scripts.values()] * 2
    assert trainer()(texts, 200, pattern="gpt2") == trainer()(texts[::-1], 200, pattern="gpt2")


def test_no_two_merges_make_the_same_bytes(implementation, scripts):
    names = [bytes([i]) for i in range(256)]
    for a, b in trainer()([*scripts.values(), "aaaaaaabaaaaab" * 9], 3000, pattern="gpt2", min_frequency=1):
        names.append(names[a] + names[b])
    assert len(names) > 600
    assert len(set(names)) == len(names)


def test_texts_are_read_one_at_a_time_and_progress_moves(implementation):
    told = []
    texts = (f"text {i} text {i}" for i in range(50))  # can be read once
    merges = trainer()(texts, 5, pattern="gpt2", progress=lambda *said: told.append(said))
    assert [said for said in told if said[0] == "reading"]
    assert told[-1] == ("merging", len(merges), 5)
    assert [done for doing, done, _ in told if doing == "merging"] == sorted(
        done for doing, done, _ in told if doing == "merging"
    )
