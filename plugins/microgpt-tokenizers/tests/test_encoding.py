"""Encoding is that of the simplest possible encoder, in work that grows with the text and not with its square."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from microgpt_tokenizers.bpe import encoding
from microgpt_tokenizers.bpe.choice import encoder
from microgpt_tokenizers.bpe.splitting import Splitter
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.bpe.vocabulary import Vocabulary

RATIO = 2.3  # of the work, for twice the text
UNSPLIT = r"(?s:.+)"
EVIL = {
    "letters": "a",
    "two letters": "ab",
    "spaces": " ",
    "digits": "1",
    "combining marks": "\u0301",
    "line ends": "\n",
    "marks": "!?",
    "Han": "自由",
    "emoji": "👩‍👩‍👧‍👦",
}


def naive(vocabulary: Vocabulary, text: str) -> list[int]:
    """Look at every pair, join the best, begin again."""
    ids: list[int] = []
    for chunk in Splitter(vocabulary.pattern).chunks(text):
        data = chunk.encode()
        parts = [data[i : i + 1] for i in range(len(data))]
        if vocabulary.merges is None:
            parts = [data] if data in vocabulary.tokens else parts
        while True:
            if vocabulary.merges is None:
                ranked = [(vocabulary.tokens.get(a + b), i) for i, (a, b) in enumerate(pairwise(parts))]
            else:
                order = {pair: i for i, pair in enumerate(vocabulary.merges)}
                ranked = [(order.get(pair), i) for i, pair in enumerate(pairwise(parts))]
            found = min([(rank, i) for rank, i in ranked if rank is not None], default=None)
            if found is None:
                break
            parts[found[1] : found[1] + 2] = [parts[found[1]] + parts[found[1] + 1]]
        ids += [vocabulary.tokens[part] for part in parts]
    return ids


def learned(texts, vocab_size=400, pattern="gpt2") -> Vocabulary:
    return Bpe(vocab_size=vocab_size, pattern=pattern, boundary=None).train(texts).vocabulary


def by_ids(vocabulary: Vocabulary) -> Vocabulary:
    return Vocabulary(vocabulary.tokens, None, vocabulary.pattern)


def shuffled(vocabulary: Vocabulary, seed: int) -> Vocabulary:
    """The same tokens under other ids, so that the order of the merges isn't that of the ids."""
    ids = list(range(len(vocabulary.tokens)))
    random.Random(seed).shuffle(ids)
    return Vocabulary(dict(zip(vocabulary.tokens, ids)), vocabulary.merges, vocabulary.pattern)


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])
@pytest.mark.parametrize("kind", ["merges", "ids", "shuffled", "shuffled ids"])
def test_ids_are_those_of_a_naive_encoder(implementation, scripts, kind, pattern):
    vocabulary = learned(scripts.values(), 600, pattern)
    vocabulary = shuffled(vocabulary, 1) if "shuffled" in kind else vocabulary
    vocabulary = by_ids(vocabulary) if "ids" in kind else vocabulary
    made = encoder(vocabulary)
    for what, text in scripts.items():
        assert made.encode(text) == naive(vocabulary, text), what


@given(st.text("ab ", max_size=60))
@settings(deadline=None)
def test_ids_of_random_texts(text):
    for vocabulary in (VOCABULARY, by_ids(VOCABULARY), shuffled(VOCABULARY, 2), by_ids(shuffled(VOCABULARY, 3))):
        made = encoding.Encoder(vocabulary.tokens, vocabulary.merges, vocabulary.pattern)
        assert made.encode(text) == naive(vocabulary, text)


VOCABULARY = learned(["aab abab baa abba aaaa bbb ab ba"] * 3, 290)


def test_the_comparison_finds_another_order_of_merges():
    turned = Vocabulary(VOCABULARY.tokens, (VOCABULARY.merges or [])[::-1], VOCABULARY.pattern)
    text = "aab abab baa"
    assert naive(turned, text) != naive(VOCABULARY, text)


def test_a_token_that_no_merge_makes_is_found_where_ids_alone_count():
    tokens = {bytes([i]): i for i in range(256)} | {b"abc": 300}
    assert encoding.Encoder(tokens, None, "gpt2").encode("abc xabc") == [300, 32, 120, 97, 98, 99]
    assert encoding.Encoder(tokens, [], "gpt2").encode("abc") == [97, 98, 99]


def test_the_cache_is_bounded_and_forgets_nothing_that_matters(monkeypatch):
    monkeypatch.setattr(encoding, "CACHED_CHUNKS", 10)
    made = encoding.Encoder(VOCABULARY.tokens, VOCABULARY.merges, "gpt2")
    text = " ".join(f"ab{i}" for i in range(100)) + "a" * (encoding.LONGEST_CACHED + 1)
    assert made.encode(text) == made.encode(text) == naive(VOCABULARY, text)
    assert len(made._cache) <= 10
    assert max(map(len, made._cache)) <= encoding.LONGEST_CACHED


class Counted(dict):
    """A vocabulary that counts how often it is asked."""

    asked = 0

    def get(self, key, default=None):
        self.asked += 1
        return super().get(key, default)


def work(make, vocabulary: Vocabulary, text: str) -> int:
    tokens = Counted(vocabulary.tokens)
    make(tokens, None, UNSPLIT).encode(text)
    return tokens.asked


class Quadratic(encoding.Encoder):
    """Looks at all pairs for each that it joins."""

    def merged(self, chunk):
        parts = [chunk[i : i + 1] for i in range(len(chunk))]
        while True:
            ranked = [(self._rank(*pair), i) for i, pair in enumerate(pairwise(parts))]
            found = min([(rank, i) for rank, i in ranked if rank is not None], default=None)
            if found is None:
                return parts
            parts[found[1] : found[1] + 2] = [parts[found[1]] + parts[found[1] + 1]]


def growth(make, unit: str, n: int) -> float:
    vocabulary = by_ids(learned([unit * 200], 300, UNSPLIT))
    return work(make, vocabulary, unit * (2 * n)) / work(make, vocabulary, unit * n)


@pytest.mark.parametrize("name", EVIL)
def test_twice_the_text_is_twice_the_work(name):
    assert growth(encoding.Encoder, EVIL[name], 2000) <= RATIO


def test_quadratic_work_is_found():
    assert growth(Quadratic, "a", 100) > RATIO


@pytest.mark.slow
def test_a_huge_chunk_comes_back(implementation):
    size = 1 << (20 if implementation == "native" else 17)
    for unit in EVIL.values():
        text = unit * (size // len(unit.encode()))
        tokenizer = Bpe(boundary=None).use(by_ids(learned([unit * 200], 300)))
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.long
@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])
def test_time_grows_with_the_text(implementation, name, pattern):
    """Not for continuous integration: it asks a clock. The mean of four doublings, up to a megabyte."""
    from time import perf_counter

    unit, doublings = EVIL[name], 4
    made = encoder(by_ids(learned([unit * 200], 300, pattern)))
    texts = [unit * (size // len(unit.encode())) for size in (1 << (20 - doublings), 1 << 20)]

    def seconds(text: str) -> float:
        begun = perf_counter()
        made.encode(text)
        return perf_counter() - begun

    small, large = (min(taken) for taken in zip(*([seconds(text) for text in texts] for _ in range(5))))
    assert (large / small) ** (1 / doublings) <= RATIO
