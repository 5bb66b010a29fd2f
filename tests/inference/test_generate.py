"""Generation: where it begins, how it goes on past the block, where it ends, and what a stream hands out when."""

import random
from itertools import islice
from math import exp

import pytest

from microgpt_core.components import Tokenizer
from microgpt_core.errors import ConfigurationError, DataError, NonFiniteError
from microgpt_core.inference.generate import Token, generate
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.inference.sampling import Sampling
from microgpt_core.ops.sample import probabilities
from microgpt_core.text.char import Char


class Bytes(Tokenizer):
    """An id for each byte of UTF-8: most characters take several tokens."""

    vocab_size = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def decode_bytes(self, token: int) -> bytes:
        return bytes([token])


class Pieces(Tokenizer):
    """Ids for given pieces of bytes, wherever they were cut."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces, self.vocab_size = pieces, len(pieces)

    def decode_bytes(self, token: int) -> bytes:
        return self.pieces[token]


class Script:
    """Stands in for a session of one row: says 0, 1, 2, ... whatever it reads."""

    def __init__(self, n: int) -> None:
        self.model, self.rows, self.n, self.said = self, 1, n, 0
        self.block_size = n

    def reset(self) -> None:
        pass

    def room(self, row: int) -> int:
        return self.n + 1

    def advance(self, tokens: list[list[int]]) -> None:
        self.said += 1

    def choose(self, chances: list[int], sampling: Sampling) -> list[tuple[int, float, float]]:
        return [(self.said - 1, 1.0, 0.0)]


def say(pieces: list[bytes]) -> list[Token]:
    """The tokens of a text that was cut into these pieces."""
    n = len(pieces)
    stream = generate(Script(n), Pieces(pieces), [[0]], [random.Random(0)], Sampling(0, max_new_tokens=n))
    return [token for _, token in stream]


def greedy(language_model: LanguageModel, context: list[int], n: int) -> list[int]:
    """What should come next, from whole contexts and without a cache; one that is too long is cut to half a block."""
    size, made = language_model.model.block_size, []
    context = context[-size:]
    while len(made) < n:
        if len(context) > size:
            context = context[-(size // 2) :]
        logits = language_model.logits([context]).tolist()[0][-1]
        made.append(logits.index(max(logits)))
        context = [*context, made[-1]]
    return made


def never_ends(make_model, block_size: int = 11) -> LanguageModel:
    """A model and a tokenizer without BOS."""
    return LanguageModel(make_model(block_size=block_size, vocab_size=5), Char(add_bos=False).train(["abcde"]))


@pytest.mark.parametrize("block_size", [1, 2, 7, 11])
@pytest.mark.parametrize("prompt", ["a", "dab", "eeeeeeeeeeb", "abcdeabcdeabcdeabcdecc"])
def test_past_the_block_the_last_half_is_kept(make_model, block_size: int, prompt: str) -> None:
    """Prompts shorter than the block, as long, and longer."""
    model = never_ends(make_model, block_size)
    ids = model.tokenizer.encode(prompt)
    expected = model.tokenizer.decode(greedy_or_one(model, ids, 40))
    assert model.generate(prompt, max_new_tokens=40, temperature=0) == prompt + expected


def greedy_or_one(model: LanguageModel, ids: list[int], n: int) -> list[int]:
    """A block of one token has no half: the last token is kept."""
    if model.model.block_size > 1:
        return greedy(model, ids, n)
    made = ids[-1:]
    while len(made) <= n:
        logits = model.logits([made[-1:]]).tolist()[0][-1]
        made.append(logits.index(max(logits)))
    return made[1:]


def test_without_a_limit_it_ends_where_the_block_is_full(make_model) -> None:
    """Eleven tokens are read; the last of them still gets an answer."""
    model = never_ends(make_model)
    for prompt in ("a", "abcde", "abcdeabcde"):
        assert len(model.generate(prompt, seed=1)) == 12
    assert len(model.generate("abcde" * 5, seed=1)) == 26


@pytest.mark.parametrize("n", [0, 1, 5, 30])
def test_max_new_tokens_is_kept(make_model, n: int) -> None:
    model = never_ends(make_model)
    assert len(list(model.stream("ab", max_new_tokens=n, seed=3))) == n
    assert len(model.generate("ab", max_new_tokens=n, seed=3)) == 2 + n
    assert len(list(model.stream("", max_new_tokens=n, seed=3))) == n  # the first is drawn blindly, and counts


def test_a_document_ends_at_bos(language_model: LanguageModel) -> None:
    """BOS is drawn, ends the document, and isn't part of it."""
    streams = [list(language_model.stream("b", seed=seed, max_new_tokens=50)) for seed in range(40)]
    assert len({len(tokens) for tokens in streams}) > 5
    assert all(token.id != 0 for tokens in streams for token in tokens)
    language_model.tokenizer.bos = None  # the same choices, but nothing ends
    for seed in range(40):
        found = list(language_model.stream("b", seed=seed, max_new_tokens=50))
        assert len(found) == 50
    assert any(token.id == 0 for token in found)


def test_an_empty_prompt_begins_with_bos(language_model: LanguageModel) -> None:
    assert list(language_model.stream("", temperature=0, max_new_tokens=1))[0].id == greedy(language_model, [0], 1)[0]
    assert (
        list(language_model.stream("c", temperature=0, max_new_tokens=1))[0].id == greedy(language_model, [0, 3], 1)[0]
    )


def test_without_bos_an_empty_prompt_begins_anywhere(make_model) -> None:
    model = never_ends(make_model)
    first = {next(model.stream("", seed=seed)).text for seed in range(60)}
    assert first == set("abcde")
    assert next(model.stream("", seed=1)).probability == 0.2


def test_the_same_seed_gives_the_same_tokens(language_model: LanguageModel) -> None:
    def sample(seed: int | None, **settings) -> str:
        return language_model.generate("a", seed=seed, max_new_tokens=30, **settings)

    assert sample(5) == sample(5)
    assert sample(5, top_k=3, top_p=0.8, temperature=1.3) == sample(5, top_k=3, top_p=0.8, temperature=1.3)
    assert len({sample(seed) for seed in range(20)}) > 5
    assert len({sample(None) for _ in range(20)}) > 5


def test_samples_that_share_a_stream_of_numbers_differ_and_repeat(language_model: LanguageModel) -> None:
    rng, again = random.Random(9), random.Random(9)
    samples = [language_model.generate(rng=rng, max_new_tokens=10) for _ in range(12)]
    assert samples == [language_model.generate(rng=again, max_new_tokens=10) for _ in range(12)]
    assert len(set(samples)) > 6


def test_top_k_1_is_greedy(language_model: LanguageModel) -> None:
    greedy_text = language_model.generate("b", temperature=0, max_new_tokens=20)
    assert {language_model.generate("b", top_k=1, seed=i, max_new_tokens=20) for i in range(5)} == {greedy_text}


@pytest.mark.parametrize("settings", [{"temperature": 1.0}, {"temperature": 0.5, "top_k": 3}, {"top_p": 0.6}])
def test_probabilities_are_those_of_the_choice_and_logprobs_the_models(
    language_model: LanguageModel, settings: dict
) -> None:
    context = [0, 1]
    for token in language_model.stream("a", seed=2, max_new_tokens=6, **settings):
        logits = language_model.logits([context]).tolist()[0][-1]
        asked = {"temperature": 0.8, "top_k": None, "top_p": None} | settings
        share = probabilities(logits, **asked)[token.id]
        assert token.probability == pytest.approx(share, rel=1e-7)
        assert exp(token.logprob) == pytest.approx(probabilities(logits, 1.0, None, None)[token.id], rel=1e-6)
        context.append(token.id)


def test_without_a_choice_the_logprob_still_says_how_sure_the_model_was(language_model: LanguageModel) -> None:
    language_model.tokenizer.bos = None  # nothing ends
    tokens = list(language_model.stream("a", temperature=0, max_new_tokens=9))
    assert {t.probability for t in tokens} == {1.0}
    assert all(-5 < t.logprob < 0 for t in tokens)


def test_streams_run_side_by_side(language_model: LanguageModel) -> None:
    """Each as if it were alone."""

    def stream(i: int):
        return language_model.stream("abcde"[: i + 1], seed=i, max_new_tokens=25, top_k=5)

    alone = [[t.id for t in stream(i)] for i in range(4)]
    streams, together = [stream(i) for i in range(4)], [[] for _ in range(4)]
    for _ in range(26):
        for i, one in enumerate(streams):
            together[i] += [t.id for t in [next(one, None)] if t]
    assert together == alone


def test_a_session_is_used_again(make_model) -> None:
    """Also after a stream was given up, or failed; by the next one that has as many rows."""
    model = never_ends(make_model)
    model.generate(seed=0)
    session = model._idle
    assert session is not None
    for seed in range(5):
        model.generate(seed=seed)
    assert model._idle is session
    stream = model.stream("a", max_new_tokens=9)
    next(stream)
    assert model._idle is None
    stream.close()
    assert model._idle is session
    model.generate_many(["a"] * 6, batch_size=3, seed=1)
    assert model._idle.rows == 3
    session = model._idle
    model.model.lm_head.weight.data[0, 0] = float("nan")
    with pytest.raises(NonFiniteError):
        model.generate_many(["a"] * 3, seed=1)
    assert model._idle is session


SETTINGS = [
    {},
    {"max_new_tokens": 40},  # past the block
    {"max_new_tokens": 3, "temperature": 0},
    {"temperature": 1.5, "top_k": 4, "top_p": 0.9, "max_new_tokens": 25},
]
PROMPTS = ["", "a", "abcdeabcdea", "abcde" * 5, "b", "b", "edcbaedc", "c" * 10]


@pytest.mark.parametrize("with_bos", [True, False])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("batch_size", [2, 3, 8, 100])
def test_a_batch_gives_the_texts_of_one_by_one(make_model, settings: dict, with_bos: bool, batch_size: int) -> None:
    """Also their probabilities, to the bit. Prompts of all lengths, rows that end at different times, last groups
    that aren't full.
    """
    model = LanguageModel(make_model(vocab_size=6), Char().train(["abcde"])) if with_bos else never_ends(make_model)

    def written(batch_size: int) -> list[list[Token]]:
        return [list(tokens) for tokens in model.stream_many(PROMPTS, seed=3, batch_size=batch_size, **settings)]

    alone = written(1)
    assert written(batch_size) == alone
    assert [len(tokens) for tokens in alone] != [len(alone[0])] * len(PROMPTS) or "max_new_tokens" in settings
    texts = [prompt + "".join(t.text for t in tokens) for prompt, tokens in zip(PROMPTS, alone)]
    assert model.generate_many(PROMPTS, seed=3, batch_size=batch_size, **settings) == texts
    if settings.get("temperature") != 0:
        assert alone[4] != alone[5]  # the same prompt, another stream of random numbers
        assert model.generate_many(PROMPTS, seed=4, **settings) != texts


def test_text_i_has_the_random_stream_of_seed_and_i(language_model: LanguageModel) -> None:
    many = language_model.generate_many(["b"] * 5, seed=8, max_new_tokens=20)
    assert many == [language_model.generate("b", rng=random.Random(f"8/{i}"), max_new_tokens=20) for i in range(5)]
    assert many[:3] == language_model.generate_many(["b"] * 3, seed=8, max_new_tokens=20)
    assert len({tuple(language_model.generate_many(["b"] * 5)) for _ in range(5)}) > 1  # without a seed: any


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_streams_of_many_come_as_they_are_made(make_model, batch_size: int) -> None:
    """The first row's tokens at once. Streams that are read later, in any order or in part, are still whole."""
    model = never_ends(make_model)
    expected = [list(tokens) for tokens in model.stream_many(["a"] * 5, seed=2, max_new_tokens=20)]
    streams = model.stream_many(["a"] * 5, seed=2, max_new_tokens=20, batch_size=batch_size)
    first = next(streams)
    assert list(islice(first, 2)) == expected[0][:2]
    assert model._idle is None  # it is still at work
    others = list(streams)
    assert [list(tokens) for tokens in reversed(others)] == expected[:0:-1]
    assert list(first) == expected[0][2:]


def test_no_prompts_give_no_texts(language_model: LanguageModel) -> None:
    assert language_model.generate_many([]) == []


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_damaged_weights_are_named_not_sampled(language_model: LanguageModel, temperature: float) -> None:
    language_model.model.lm_head.weight.data[2, 2] = float("nan")
    with pytest.raises(NonFiniteError, match="damaged weights"):
        language_model.generate("a", temperature=temperature)


def test_an_unknown_character_in_the_prompt_is_named(language_model: LanguageModel) -> None:
    with pytest.raises(DataError, match=r"unknown character 'x' \(U\+0078\) at position 2; allowed: 'abcde'"):
        language_model.generate("abx")


@pytest.mark.parametrize(
    "settings",
    [{"temperature": -1}, {"top_k": 0}, {"top_p": 2.0}, {"max_new_tokens": -1}, {"temperature": float("nan")}],
)
def test_impossible_settings_are_refused_at_once(language_model: LanguageModel, settings: dict) -> None:
    """When the stream is asked for, not when its first token is."""
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        language_model.stream("a", **settings)
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        language_model.stream_many(["a"], **settings)
    with pytest.raises(DataError, match="unknown character"):
        language_model.stream("x")
    with pytest.raises(DataError, match="unknown character"):
        language_model.stream_many(["a", "x"])
    with pytest.raises(ConfigurationError, match="batch_size: found 0, allowed: 1 or more"):
        language_model.stream_many(["a"], batch_size=0)


ALPHABET = "aé€😀ß漢\n\u0301🇨🇭"


def test_streaming_never_splits_a_character() -> None:
    """Thousands of texts cut at random bytes: after each token, all whole characters so far have been handed out."""
    rng, split = random.Random(1), 0
    for _ in range(3000):
        text = "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(1, 9)))
        data = text.encode("utf-8")
        cuts = sorted({0, len(data), *(rng.randrange(len(data)) for _ in range(rng.randrange(8)))})
        pieces = [data[a:b] for a, b in zip(cuts, cuts[1:])]
        tokens, n = say(pieces), len(pieces)
        assert [t.id for t in tokens] == list(range(n))
        for i in range(n):
            so_far = "".join(t.text for t in tokens[: i + 1])
            whole = b"".join(pieces[: i + 1]).decode("utf-8", "ignore")
            assert so_far == whole
            split += tokens[i].text == ""
    assert split > 1000  # positive control: cuts do fall inside characters


@pytest.mark.parametrize(
    ("pieces", "texts"),
    [
        ([b"a", "€".encode()[:2]], ["a", "", "\ufffd"]),  # it ends inside a character
        ([b"\xff", b"a"], ["\ufffd", "a"]),  # not UTF-8 at all
        (["é".encode()[:1], b"a"], ["", "\ufffda"]),  # a character that is never completed
    ],
)
def test_what_is_no_text_is_replaced(pieces: list[bytes], texts: list[str]) -> None:
    tokens = say(pieces)
    assert [t.text for t in tokens] == texts
    assert [t.id for t in tokens] == [*range(len(pieces)), -1][: len(texts)]


def test_a_byte_model_streams_whole_characters(make_model) -> None:
    model = LanguageModel(make_model(vocab_size=256), Bytes())
    for seed in range(20):
        tokens = list(model.stream("é", seed=seed, max_new_tokens=40, temperature=2.0))
        text = "".join(t.text for t in tokens)
        assert text == bytes(t.id for t in tokens if t.id >= 0).decode("utf-8", "replace")
        assert model.generate("é", seed=seed, max_new_tokens=40, temperature=2.0) == "é" + text
