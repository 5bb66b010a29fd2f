"""Every character and every byte comes back, and a stream shows what decode does, wherever it is cut."""

import random
from codecs import getincrementaldecoder
from collections.abc import Iterator

import pytest

from microgpt_core.components import Tokenizer
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.byte_level import Bytes

SCALARS = [*range(0xD800), *range(0xE000, 0x110000)]


@pytest.fixture(scope="module", params=["bytes", "bpe"])
def tokenizer(request, scripts) -> Tokenizer:
    return Bytes() if request.param == "bytes" else Bpe(vocab_size=900).train([*scripts.values()] * 2)


def lost_scalars(tokenizer: Tokenizer, step: int) -> list[str]:
    """The texts, of some thousand characters each, that don't come back."""
    texts = ["".join(map(chr, SCALARS[i : i + 4096 * step : step])) for i in range(0, len(SCALARS), 4096 * step)]
    return [text for text in texts if tokenizer.decode(tokenizer.encode(text)) != text]


def test_some_of_every_kind_of_character_come_back(tokenizer):
    assert lost_scalars(tokenizer, 37) == []


@pytest.mark.slow
def test_every_character_comes_back(tokenizer):
    assert lost_scalars(tokenizer, 1) == []


def test_a_character_that_is_lost_is_found():
    class Forgetful(Bytes):
        def encode(self, text):
            return super().encode(text.replace("\u2028", "\n"))

    assert len(lost_scalars(Forgetful(), 1)) == 1


def wrong_bytes(tokenizer: Tokenizer, n: int) -> list[bytes]:
    """Random byte strings that don't come back from the ids that say them."""
    rng = random.Random(14)
    ids = {tokenizer.decode_bytes(i): i for i in range(tokenizer.vocab_size)}
    strings = [rng.randbytes(rng.randrange(1, 12)) for _ in range(n)]
    said = [[ids[bytes([byte])] for byte in string] for string in strings]
    return [
        string
        for string, tokens in zip(strings, said)
        if b"".join(map(tokenizer.decode_bytes, tokens)) != string
        or tokenizer.decode(tokens) != string.decode("utf-8", "replace")
    ]


def test_random_byte_strings_come_back(tokenizer):
    assert wrong_bytes(tokenizer, 2_000) == []


@pytest.mark.slow
def test_a_hundred_thousand_random_byte_strings_come_back(tokenizer):
    assert wrong_bytes(tokenizer, 100_000) == []


class TokenByToken(Bytes):
    """Makes characters of each token alone."""

    def decode(self, ids):
        return "".join(self.decode_bytes(i).decode("utf-8", "replace") for i in ids)


def test_characters_made_of_single_tokens_are_found():
    assert wrong_bytes(TokenByToken(), 2_000)


def pieces(tokenizer: Tokenizer, ids: list[int]) -> Iterator[str]:
    """What a stream shows for each token, as `microgpt_core.inference.generate` does it; at last, what is left."""
    decoder = getincrementaldecoder("utf-8")("replace")
    for i in ids:
        yield decoder.decode(tokenizer.decode_bytes(i))
    yield decoder.decode(b"", final=True)


def wrong_streams(tokenizer: Tokenizer, n: int) -> list[list[int]]:
    """Random sequences of tokens that, cut somewhere, show something else than decode."""
    rng, wrong = random.Random(15), []
    for _ in range(n):
        ids = [rng.randrange(tokenizer.vocab_size) for _ in range(rng.randrange(1, 9))]
        cuts = [ids[:at] for at in range(1, len(ids) + 1)]
        if any("".join(pieces(tokenizer, cut)) != tokenizer.decode(cut) for cut in cuts):
            wrong.append(ids)
    return wrong


def test_a_stream_shows_what_decode_does(tokenizer):
    assert wrong_streams(tokenizer, 1_000) == []


@pytest.mark.slow
def test_a_hundred_thousand_streams_show_what_decode_does(tokenizer):
    assert wrong_streams(tokenizer, 100_000) == []


def test_a_stream_that_shows_something_else_is_found():
    assert wrong_streams(TokenByToken(), 1_000)


def test_a_stream_of_a_text_shows_no_half_characters(tokenizer, scripts):
    for text in scripts.values():
        shown = list(pieces(tokenizer, tokenizer.encode(text)))
        assert "".join(shown) == text
        assert not any("\ufffd" in piece for piece in shown)
