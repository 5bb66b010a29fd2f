"""What is counted of texts, and how a vocabulary's size is chosen."""

from math import log2

import pytest

from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.text.char import Char
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.byte_level import Bytes
from microgpt_tokenizers.sizes import Size, first_merges, knee, measure_sizes
from microgpt_tokenizers.statistics import measure


def test_what_is_counted():
    found = measure(Bytes(), ["aab", "é"])
    assert (found.n_characters, found.n_bytes, found.n_tokens, found.vocab_size) == (4, 5, 5, 257)
    assert (found.characters_per_token, found.bytes_per_token) == (0.8, 1.0)
    assert found.counts.most_common(1) == [(97, 2)]
    assert found.unknown_rate is None
    assert found.to_dict()["used"] == 4


@pytest.mark.parametrize(("text", "entropy"), [("aaaa", 0), ("abab", 1), ("abcd", 2), ("aab", log2(3) - 2 / 3)])
def test_entropy(text, entropy):
    assert measure(Char().train(["abcd"]), [text]).entropy == pytest.approx(entropy)


def test_nothing_to_count():
    with pytest.raises(DataError, match="the texts are empty"):
        measure(Bytes(), ["", ""])


def test_a_smaller_vocabulary_is_the_beginning_of_a_larger_one(tinyshakespeare):
    text = tinyshakespeare[:20_000]
    large = Bpe(vocab_size=600).train([text])
    for size in (300, 450):
        small = Bpe(vocab_size=size).train([text])
        assert first_merges(large.vocabulary, size) == small.vocabulary


def test_sizes_are_measured_on_what_was_held_out(tinyshakespeare):
    train, held_out = tinyshakespeare[:30_000], tinyshakespeare[30_000:40_000]
    found = measure_sizes([train], [held_out], (500, 300, 300), n_embd=16)
    assert [size.vocab_size for size in found] == [300, 500]
    assert [size.parameters for size in found] == [2 * 16 * 300, 2 * 16 * 500]
    for size in found:
        tokenizer = Bpe(vocab_size=size.vocab_size).train([train])
        assert size.n_tokens == len(tokenizer.encode(held_out))
        assert size.characters_per_token == 10_000 / size.n_tokens


def test_sizes_that_the_texts_have_no_merges_for_are_left_out():
    assert [size.vocab_size for size in measure_sizes(["ab ab"], ["ab"], (257, 400, 800), n_embd=1)] == [257, 258]


@pytest.mark.parametrize("sizes", [(), (256,), (100, 500)])
def test_sizes_that_can_not_be(sizes):
    with pytest.raises(ConfigurationError, match="sizes: found"):
        measure_sizes(["text"], ["text"], sizes, n_embd=1)


def curve(*gains: float) -> list[Size]:
    return [Size(n, 0, gain, n) for n, gain in enumerate(gains, start=1)]


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((0, 5, 9, 10, 10.5, 11), 3),  # the third is furthest above the line
        ((1, 1.9, 2, 2.05), 2),
        ((0, 1, 2, 3), None),  # a straight line has no knee
        ((0, 0.1, 1, 5), None),  # all below it
        ((3, 3, 3), None),  # nothing is gained
        ((1, 2), None),
    ],
)
def test_the_knee(gains, expected):
    found = knee(curve(*gains))
    assert (found.vocab_size if found else None) == expected
