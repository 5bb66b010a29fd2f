"""The char tokenizer: what it learns, what it gives back, and what it says when it can't."""

import json
import unicodedata

import pytest
from hypothesis import given, strategies as st

from microgpt_core.errors import CheckpointError, ConfigurationError, DataError
from microgpt_core.text.char import Char
from microgpt_core.text.names import Names

SCALARS = st.characters(exclude_categories=["Cs"])
EMOJI = "👩‍👩‍👧‍👦🏳️‍🌈 東京は日本の首都です \U0002070e"


@pytest.mark.parametrize(
    ("add_bos", "bos", "vocab_size", "ids"),
    [(True, 0, 4, [1, 3, 2]), (False, None, 3, [0, 2, 1])],
)
def test_ids_are_bos_then_the_sorted_characters(add_bos, bos, vocab_size, ids):
    tokenizer = Char(add_bos=add_bos).train(["cab", "bb"])
    assert (tokenizer.bos, tokenizer.vocab_size) == (bos, vocab_size)
    assert tokenizer.encode("acb") == ids
    assert tokenizer.decode(ids) == "acb"


def test_names_make_a_vocabulary_of_27():
    tokenizer = Char().train(Names().all_documents())
    assert (tokenizer.vocab_size, tokenizer.bos) == (27, 0)
    assert tokenizer.encode("az") == [1, 26]


def test_ssa_names_make_a_vocabulary_of_27(ssa_names):
    assert Char().train(ssa_names.read_text(encoding="utf-8").split()).vocab_size == 27


def test_tinyshakespeare_makes_a_vocabulary_of_65(tinyshakespeare):
    text = tinyshakespeare.read_text(encoding="utf-8")
    tokenizer = Char(add_bos=False).train([text])
    assert tokenizer.vocab_size == 65
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", ["", "emma", EMOJI, "a\x00b\r\n\u2028", "e\u0301 \u00e9"])
def test_round_trip(text):
    tokenizer = Char().train([text, "x"])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert b"".join(map(tokenizer.decode_bytes, tokenizer.encode(text))) == text.encode()


@given(st.text(SCALARS, min_size=1))
def test_every_text_round_trips_through_json(text):
    tokenizer = Char.from_dict(json.loads(json.dumps(Char().train([text]).to_dict())))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert 0 not in tokenizer.encode(text)


def test_a_vocabulary_may_be_huge():
    many = "".join(map(chr, range(0xE000, 0xE000 + 100_000)))
    tokenizer = Char().train([many])
    assert tokenizer.vocab_size == 100_001
    assert tokenizer.decode(tokenizer.encode(many[::-1])) == many[::-1]


def test_decode_leaves_bos_out():
    tokenizer = Char().train(["ab"])
    assert tokenizer.decode([0, 1, 0, 2, 0]) == "ab"
    assert tokenizer.decode_bytes(0) == b""


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_normalize_brings_texts_to_one_form(form):
    tokenizer = Char(normalize=form).train(["e\u0301\u00e9ﬁ"])
    assert tokenizer.encode("\u00e9") == tokenizer.encode("e\u0301")
    assert tokenizer.decode(tokenizer.encode("\u00e9ﬁ")) == unicodedata.normalize(form, "\u00e9ﬁ")


def test_without_normalize_the_two_forms_differ():
    tokenizer = Char().train(["e\u0301\u00e9"])
    assert tokenizer.encode("\u00e9") != tokenizer.encode("e\u0301")


@pytest.mark.parametrize("options", [{}, {"add_bos": False}, {"normalize": "NFC"}])
def test_a_saved_tokenizer_encodes_the_same(options):
    before = Char(**options).train(["zoë", EMOJI])
    after = Char.from_dict(json.loads(json.dumps(before.to_dict())))
    assert after.to_dict() == before.to_dict()
    assert (after.vocab_size, after.bos, after.encode(EMOJI)) == (before.vocab_size, before.bos, before.encode(EMOJI))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"version": 2}, "format version 2, this microgpt reads 1"),
        ({"version": None}, "format version None"),
        ({"characters": "aa"}, "each of them once"),
        ({"characters": 7}, "`characters`"),
        ({"add_bos": "yes"}, "`add_bos`, true or false"),
        ({"normalize": ["NFC"]}, "`normalize` is"),
    ],
)
def test_a_damaged_save_is_named(damage, message):
    state = Char().train(["ab"]).to_dict()
    with pytest.raises(CheckpointError, match=message):
        Char.from_dict({**state, **damage})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abé", ["'é' (U+00E9)", "position 2", "allowed: 'abc'", "train on text that has it"]),
        ("a\x07", [r"'\x07' (U+0007)", "position 1"]),
        ("😀", ["'😀' (U+1F600)", "position 0"]),
        ("\udcff", [r"'\udcff' (U+DCFF)"]),
    ],
)
def test_an_unknown_character_is_named(text, expected):
    with pytest.raises(DataError) as caught:
        Char().train(["abc"]).encode(text)
    assert [e for e in expected if e not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


def test_a_long_list_of_allowed_characters_is_cut():
    tokenizer = Char().train([chr(0x4E00 + i) for i in range(150)])
    with pytest.raises(DataError, match="and 50 more") as caught:
        tokenizer.encode("a")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("outside", [-1, 3, 99])
def test_an_id_outside_the_vocabulary_is_an_error(outside):
    with pytest.raises(DataError, match=f"id {outside} is outside the vocabulary; allowed: 0 to 2"):
        Char().train(["ab"]).decode([1, outside])


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: Char().train([]), DataError, "no character"),
        (lambda: Char().train(["", ""]), DataError, "no character"),
        (lambda: Char().train(["a\ud800"]), DataError, r"\(U\+D800\) is half a UTF-16 pair"),
        (lambda: Char().encode("a"), DataError, r"call train\(texts\) first"),
        (lambda: Char(normalize="nfc"), ConfigurationError, "normalize: found 'nfc', allowed: null, NFC, NFD"),
    ],
)
def test_misuse_is_an_error(do, error, message):
    with pytest.raises(error, match=message):
        do()


def test_training_again_forgets_the_first_vocabulary():
    tokenizer = Char().train(["abc"]).train(["xy"])
    assert tokenizer.vocab_size == 3
    with pytest.raises(DataError):
        tokenizer.encode("a")
