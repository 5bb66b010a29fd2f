"""The tokenizer `bytes`: every text, every byte, and what a model may write that is no text."""

import json

import pytest

from microgpt_core.errors import CheckpointError, ConfigurationError, DataError
from microgpt_tokenizers.byte_level import Bytes


def test_ids_are_bytes():
    tokenizer = Bytes().train([])
    assert tokenizer.encode("é!") == [0xC3, 0xA9, 0x21]
    assert (tokenizer.vocab_size, tokenizer.bos) == (257, 256)
    assert tokenizer.decode([256, 0xC3, 256, 0xA9, 256]) == "é"


def test_without_bos_and_with_a_form():
    tokenizer = Bytes(add_bos=False, normalize="NFKC")
    assert (tokenizer.vocab_size, tokenizer.bos) == (256, None)
    assert tokenizer.encode("ﬁ") == [*b"fi"]
    assert Bytes.from_dict(json.loads(json.dumps(tokenizer.to_dict()))).to_dict() == tokenizer.to_dict()


def test_texts_in_every_script_come_back(scripts):
    tokenizer = Bytes()
    assert {what: tokenizer.decode(tokenizer.encode(text)) for what, text in scripts.items()} == scripts


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: Bytes().encode("ab\udfff"), DataError, r"U\+DFFF\) at position 2 is half a UTF-16 pair"),
        (lambda: Bytes().decode([257]), DataError, "id 257 is outside the vocabulary; allowed: 0 to 256"),
        (lambda: Bytes().decode_bytes(-1), DataError, "id -1"),
        (lambda: Bytes(normalize="NFX"), ConfigurationError, "normalize: found 'NFX'"),
        (lambda: Bytes.from_dict({}), CheckpointError, "format version None"),
        (lambda: Bytes.from_dict({"version": 1, "add_bos": 1}), CheckpointError, "`add_bos` is 1"),
        (lambda: Bytes.from_dict({"version": 1, "add_bos": True, "normalize": []}), ConfigurationError, "normalize"),
    ],
)
def test_misuse_is_an_error(do, error, message):
    with pytest.raises(error, match=message):
        do()
