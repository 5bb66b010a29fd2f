"""The tokenizer `word`: how texts are cut, which words are known, what becomes of the others."""

import json

import pytest

from microgpt_core.errors import CheckpointError, ConfigurationError, DataError
from microgpt_tokenizers.statistics import measure
from microgpt_tokenizers.word import UNKNOWN, Word

TEXT = "the cat saw the dog.\nThe dog saw the cat."


@pytest.mark.parametrize(
    ("options", "text", "pieces"),
    [
        ({}, "Don't stop, now!", ["Don't", " stop", ",", " now", "!"]),
        ({}, "a  b\n\tc_1", ["a", " ", " b", "\n", "\t", "c_1"]),
        ({}, "नमस्ते दुनिया", ["नमस्ते", " दुनिया"]),
        ({}, "l’été (x)", ["l’été", " (", "x", ")"]),
        ({"punctuation": "keep"}, "Don't stop, now!", ["Don't", " stop,", " now!"]),
        ({"case": "lower"}, "The THE", ["the", " the"]),
        ({"normalize": "NFC"}, "e\u0301", ["é"]),
    ],
)
def test_texts_are_cut_into_pieces_that_are_the_text_again(options, text, pieces):
    tokenizer = Word(**options)
    assert list(tokenizer.pieces(text)) == pieces
    if not options:
        assert "".join(pieces) == text


def test_ids_are_bos_unknown_space_then_the_most_frequent_words():
    tokenizer = Word().train([TEXT])
    words = [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)]
    assert words == ["", UNKNOWN, " ", " cat", " dog", " saw", " the", ".", "\n", "The", "the"]
    assert (tokenizer.bos, tokenizer.unknown_id) == (0, 1)
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"max_vocab": 5}, [" cat", " dog"]),
        ({"max_vocab": 4, "add_bos": False}, [" cat", " dog"]),
        ({"min_frequency": 3}, []),
        ({"min_frequency": 2}, [" cat", " dog", " saw", " the", "."]),
    ],
)
def test_size_and_frequency_cut_off_rare_words(options, known):
    tokenizer = Word(**options).train([TEXT])
    first = 2 + tokenizer.add_bos
    assert [tokenizer.decode([i]) for i in range(first, tokenizer.vocab_size)] == known


@pytest.mark.parametrize(
    ("options", "text", "comes_back"),
    [
        ({}, "the bird saw", f"the {UNKNOWN} saw"),
        ({}, "dog.", f"{UNKNOWN}."),  # known after a space only
        ({}, " The", " The"),  # known without its space only: told in two
        ({}, "cat\tdog", f"{UNKNOWN} {UNKNOWN}"),  # white space becomes a space
        ({}, "\ufffd", UNKNOWN),
        ({"case": "lower"}, "THE Dog", "the dog"),
    ],
)
def test_what_is_unknown_comes_back_as_one_sign_and_then_stays(options, text, comes_back):
    tokenizer = Word(**options).train([TEXT, "\ufffd \ufffd"])
    assert tokenizer.decode(tokenizer.encode(text)) == comes_back
    assert tokenizer.decode(tokenizer.encode(comes_back)) == comes_back


def test_without_unknown_it_is_an_error_that_names_the_word():
    tokenizer = Word(unknown=False).train([TEXT])
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    with pytest.raises(DataError, match=r"unknown word 'bird'; set `unknown: true`"):
        tokenizer.encode("the bird")


def test_the_unknown_rate_is_counted():
    tokenizer = Word().train(["a a b"])
    assert measure(tokenizer, ["a c", "a"]).unknown_rate == 1 / 4  # a, space, unknown, a
    assert measure(tokenizer, ["a a b"]).unknown_rate == 0


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: Word(max_vocab=3), ConfigurationError, "max_vocab: found 3, allowed: 4 or more"),
        (lambda: Word(min_frequency=0), ConfigurationError, "min_frequency: found 0"),
        (lambda: Word(case="upper"), ConfigurationError, "case: found 'upper', allowed: keep or lower"),
        (lambda: Word(punctuation=""), ConfigurationError, "punctuation: found '', allowed: split or keep"),
        (lambda: Word(normalize="nfc"), ConfigurationError, "normalize: found 'nfc'"),
        (lambda: Word().train([]), DataError, "no word"),
        (lambda: Word().train(["a\ud800"]), DataError, r"U\+D800\) at position 1 is half a UTF-16 pair"),
        (lambda: Word().train(["a"]).decode([4]), DataError, "id 4 is outside the vocabulary; allowed: 0 to 3"),
    ],
)
def test_misuse_is_an_error(do, error, message):
    with pytest.raises(error, match=message):
        do()


@pytest.mark.parametrize(
    "options",
    [{}, {"max_vocab": 6, "case": "lower", "punctuation": "keep"}, {"unknown": False, "add_bos": False}],
)
def test_a_saved_tokenizer_is_the_same(options):
    before = Word(**options).train([TEXT])
    after = Word.from_dict(json.loads(json.dumps(before.to_dict())))
    assert after.to_dict() == before.to_dict()
    assert (after.bos, after.vocab_size, after.encode(TEXT)) == (before.bos, before.vocab_size, before.encode(TEXT))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"version": 2}, "format version 2"),
        ({"words": "abc"}, "`words` is 'abc'"),
        ({"words": ["a", "a"]}, "one of them twice"),
        ({"words": [" "]}, "or the space"),
        ({"words": [""]}, "a list of texts"),
        ({"unknown": 1}, "`unknown` is 1"),
        ({"max_vocab": "5"}, "of the wrong type"),
        ({"case": ["lower"]}, "case: found"),
    ],
)
def test_a_damaged_save_is_named(damage, message):
    state = Word().train([TEXT]).to_dict()
    with pytest.raises(ValueError, match=message) as caught:
        Word.from_dict({**state, **damage})
    assert isinstance(caught.value, CheckpointError | ConfigurationError)
