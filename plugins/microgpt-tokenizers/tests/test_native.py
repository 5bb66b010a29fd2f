"""The compiled twins give what the Python ones give: merges, ids, errors. And they do it in threads."""

import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from microgpt_tokenizers.bpe import encoding, training
from microgpt_tokenizers.bpe.splitting import PATTERNS, Splitter

native = pytest.importorskip("microgpt_tokenizers.bpe.native", reason="the compiled part of the pack wasn't built")
BYTES = [bytes([i]) for i in range(256)]
ALPHABETS = ["ab", "aab ", "abc'", "abcdefgh \n", "aé漢😀 1"]  # few letters: many equals, many overlaps
OWN = [r"\S+|\s+", ".", "b+"]  # patterns that `regex` runs; the last passes over what is between
SEEDS = pytest.mark.parametrize("seed", range(60))


def text_of(draw: random.Random, alphabet: str, most: int = 200) -> str:
    return "".join(draw.choices(alphabet, k=draw.randint(0, most)))


def naive_merges(texts: list[str], n_merges: int, pattern: str, min_frequency: int) -> list[tuple[int, int]]:
    """What learning means, with everything counted anew each time."""
    words = Counter(tuple(chunk.encode()) for text in texts for chunk in Splitter(pattern).chunks(text))
    names, merges = [*BYTES], list[tuple[int, int]]()
    for new in range(256, 256 + n_merges):
        counts = Counter[tuple[int, int]]()
        for word, frequency in words.items():
            for pair in pairwise(word):
                counts[pair] += frequency
        best = min(counts, key=lambda pair: (-counts[pair], names[pair[0]], names[pair[1]]), default=None)
        if best is None or counts[best] < min_frequency:
            break
        merges.append(best)
        names.append(names[best[0]] + names[best[1]])
        joined = Counter[tuple[int, ...]]()
        for word, frequency in words.items():
            joined[tuple(training.joined(word, best, new))] += frequency
        words = joined
    return merges


def names_of(merges: list[tuple[int, int]]) -> list[bytes]:
    names = [*BYTES]
    for left, right in merges:
        names.append(names[left] + names[right])
    return names


@SEEDS
def test_merges_are_the_twin_s_and_the_naive_ones(seed: int) -> None:
    draw = random.Random(seed)
    alphabet, pattern = draw.choice(ALPHABETS), draw.choice([*PATTERNS, *OWN])
    texts = [text_of(draw, alphabet) for _ in range(draw.randint(1, 6))]
    n, least = draw.choice([0, 1, 5, 50]), draw.choice([1, 2, 3])
    found = native.train_merges(texts, n, pattern=pattern, min_frequency=least)
    assert found == training.train_merges(texts, n, pattern=pattern, min_frequency=least)
    assert found == naive_merges(texts, n, pattern, least)
    assert len(set(names_of(found))) == 256 + len(found)


@pytest.mark.parametrize(("n", "least"), [(-1, 2), (10**30, 2), (5, 10**30), (5, -(10**9)), (5, 0)])
def test_numbers_that_mean_all_or_nothing(n: int, least: int) -> None:
    texts = ["abc abc ab"]
    expected = training.train_merges(texts, n, pattern="gpt2", min_frequency=least)
    assert native.train_merges(texts, n, pattern="gpt2", min_frequency=least) == expected


def test_planted_another_order_of_equals_is_seen() -> None:
    """Were equals taken in the order in which they come, these texts would tell."""
    texts = ["ba ba cd cd"]
    assert naive_merges(texts, 1, "gpt2", 2) == native.train_merges(texts, 1, pattern="gpt2") == [(32, 99)]  # " c"
    assert next(iter(Counter(pairwise(texts[0].encode())))) == (98, 97)  # "ba" comes first


@SEEDS
def test_ids_are_the_twin_s(seed: int) -> None:
    """Of vocabularies as they are learned, with tokens that no merge makes, ids in another order, merges in another."""
    draw = random.Random(seed)
    alphabet, pattern = draw.choice(ALPHABETS), draw.choice([*PATTERNS, *OWN])
    texts = [text_of(draw, alphabet) for _ in range(3)]
    learned = native.train_merges(texts, draw.choice([5, 50, 500]), pattern=pattern)
    names = names_of(learned)
    merges = [(names[left], names[right]) for left, right in learned]
    if seed % 2:
        draw.shuffle(merges)
    tokens = dict.fromkeys([*names, *(text_of(draw, alphabet, 60).encode() or b"a" for _ in range(seed % 5))])
    ids = list(range(0, 3 * len(tokens), 3))  # with gaps
    if seed % 3 == 0:
        draw.shuffle(ids)
    vocabulary = dict(zip(tokens, ids, strict=True))
    for order in (None, merges):
        found, expected = native.Encoder(vocabulary, order, pattern), encoding.Encoder(vocabulary, order, pattern)
        for text in [*texts, *(text_of(draw, alphabet, 400) for _ in range(8))] * 2:  # again, from the cache
            assert found.encode(text) == expected.encode(text)


def test_a_token_that_no_merge_makes_comes_from_a_chunk_that_is_it() -> None:
    vocabulary = {token: i for i, token in enumerate([*BYTES, b"xyz"])}
    encoder = native.Encoder(vocabulary, None, "gpt2")
    assert encoder.encode("xyz") == [256]
    assert encoder.encode("xyzx") == [120, 121, 122, 120]
    assert native.Encoder(vocabulary, [], "gpt2").encode("xyz") == [120, 121, 122]


@pytest.fixture(scope="module")
def encoder() -> native.Encoder:
    """One that has learned from texts of three letters."""
    draw = random.Random(1)
    names = names_of(native.train_merges([text_of(draw, "abc ", 3000)], 300, pattern="gpt2"))
    return native.Encoder({token: i for i, token in enumerate(names)}, None, "gpt2")


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 5, 70_000])
def test_threads_share_texts_in_their_order(encoder: native.Encoder, threads: int, size: int) -> None:
    draw = random.Random(size)
    texts = [text_of(draw, "abc é", size) for _ in range(20)]
    assert encoder.encode_batch(texts, threads) == [encoder.encode(text) for text in texts]


def test_one_encoder_serves_several_threads_at_once(encoder: native.Encoder) -> None:
    draw = random.Random(3)
    texts = ["".join(draw.choices("abc ", k=50_000)) for _ in range(16)]
    expected = [encoder.encode(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(encoder.encode, texts)) == expected


def test_a_failing_text_fails_its_batch_and_the_encoder_stays_good(encoder: native.Encoder) -> None:
    for threads in (1, 3):
        with pytest.raises(UnicodeEncodeError):
            encoder.encode_batch(["a" * 70_000, "\ud800", "b"] * 3, threads)
    assert encoder.encode("abc") == encoder.encode_batch(["abc"], 2)[0]


@pytest.mark.parametrize("pattern", ["gpt2", "."])
def test_lone_surrogates_are_refused(pattern: str) -> None:
    for call in (
        lambda: native.train_merges(["a\udfff"], 1, pattern=pattern),
        lambda: native.Encoder({token: i for i, token in enumerate(BYTES)}, None, pattern).encode("a\udfff"),
    ):
        with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
            call()


@pytest.mark.parametrize(
    ("tokens", "merges", "message"),
    [
        (BYTES[1:], None, "a single byte is missing"),
        (BYTES, [(b"a", b"b")], "merge b'a' b'b': a side of it, or both together, aren't in the vocabulary"),
        ([*BYTES, b"ab"], [(b"ab", b"")], "merge b'ab' b''"),
    ],
)
def test_a_vocabulary_that_lacks_something(
    tokens: list[bytes], merges: list[tuple[bytes, bytes]] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        native.Encoder({token: i for i, token in enumerate(tokens)}, merges, "gpt2")


@pytest.mark.parametrize("text", [b"bytes", None, 7])
def test_what_is_no_text(encoder: native.Encoder, text: object) -> None:
    with pytest.raises(TypeError):
        encoder.encode(text)
    with pytest.raises(TypeError):
        native.train_merges([text], 1, pattern="gpt2")


@pytest.mark.parametrize("token", ["ab", None, 7])
def test_what_are_no_bytes(token: object) -> None:
    vocabulary = {token: i for i, token in enumerate(BYTES)}
    with pytest.raises(TypeError):
        native.Encoder({**vocabulary, token: 256}, None, "gpt2")
    with pytest.raises(TypeError):
        native.Encoder(vocabulary, [(b"a", token)], "gpt2")


def test_progress_moves_in_both_phases() -> None:
    told: list[tuple[str, int, int]] = []
    texts = (f"text {i} of some" for i in range(5))
    merges = native.train_merges(texts, 8, pattern="gpt2", progress=lambda *said: told.append(said))
    assert told[:5] == [("reading", i, 0) for i in range(1, 6)]
    assert told[-1] == ("merging", len(merges), 8)


def test_what_texts_raise_comes_through() -> None:
    def texts() -> Iterator[str]:
        yield "a"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        native.train_merges(texts(), 3, pattern="gpt2")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer that sends a signal")
@pytest.mark.parametrize("work", ["encoding", "training"])
def test_a_signal_is_heard_within_one_text(encoder: native.Encoder, work: str) -> None:
    text = "abc " * 4_000_000  # four slices

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        with pytest.raises(KeyboardInterrupt):
            encoder.encode(text) if work == "encoding" else native.train_merges([text], 1, pattern="gpt2")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
