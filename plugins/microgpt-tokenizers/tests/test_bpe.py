"""The tokenizer `bpe`: its fields, its special tokens, its saved form, and what it refuses."""

import json

import pytest

from microgpt_core.errors import CheckpointError, ConfigurationError, DataError
from microgpt_tokenizers.bpe import choice
from microgpt_tokenizers.bpe.tokenizer import Bpe

END = "<|endoftext|>"
CHAT = ["<|user|>", "<|model|>"]


@pytest.fixture
def tokenizer(scripts) -> Bpe:
    return Bpe(vocab_size=400, special=CHAT).train(scripts.values())


def test_ids_are_bytes_then_merges_then_special_tokens(tokenizer):
    assert (tokenizer.vocab_size, tokenizer.bos) == (400, 397)
    assert [tokenizer.decode_bytes(i) for i in (0, 65, 255, 397, 399)] == [b"\0", b"A", b"\xff", b"", b""]
    assert tokenizer.vocabulary.special == {END: 397, "<|user|>": 398, "<|model|>": 399}
    left, right = tokenizer.vocabulary.merges[0]
    assert tokenizer.decode_bytes(256) == left + right


def test_texts_come_back(implementation, scripts, tokenizer):
    assert {what: tokenizer.decode(tokenizer.encode(text)) for what, text in scripts.items()} == scripts
    batch = tokenizer.encode_batch([*scripts.values()], threads=2)
    assert batch == [tokenizer.encode(text) for text in scripts.values()]


def test_a_special_token_is_plain_text_unless_it_is_allowed(tokenizer):
    text = f"<|user|>hi{END}"
    plain = tokenizer.encode(text)
    assert not set(plain) & {397, 398, 399}
    assert tokenizer.decode(plain) == text
    hi = tokenizer.encode("hi")
    assert tokenizer.encode(text, allow_special=["<|user|>"]) == [398, *hi, *tokenizer.encode(END)]
    assert tokenizer.encode(text, allow_special=["<|user|>", END]) == [398, *hi, 397]
    assert tokenizer.decode([398, *hi, 397]) == "hi"


def test_a_pipeline_can_allow_them_but_never_the_boundary(scripts):
    tokenizer = Bpe(vocab_size=300, special=CHAT, allow_special=CHAT).train(scripts.values())
    assert tokenizer.encode("<|user|><|model|>") == [298, 299]
    assert tokenizer.encode_batch(["<|model|>"]) == [[299]]
    assert tokenizer.bos not in tokenizer.encode(END)


def test_the_longest_name_wins():
    tokenizer = Bpe(vocab_size=260, special=["<a", "<a>", "aa"]).train([])
    assert tokenizer.encode("<a><aaa", allow_special=["aa", "<a", "<a>"]) == [258, 257, 259]


@pytest.mark.parametrize(
    ("form", "text", "comes_back"),
    [(None, "e\u0301ﬁ", "e\u0301ﬁ"), ("NFC", "e\u0301ﬁ", "éﬁ"), ("NFKC", "e\u0301ﬁ", "éfi")],
)
def test_texts_are_brought_to_a_form(form, text, comes_back):
    tokenizer = Bpe(normalize=form).train([text])
    assert tokenizer.decode(tokenizer.encode(text)) == comes_back
    assert tokenizer.decode(tokenizer.encode_batch([text])[0]) == comes_back


def test_the_texts_may_have_fewer_merges_than_asked_for():
    tokenizer = Bpe(vocab_size=1000).train(["ab ab"])
    assert tokenizer.vocab_size == 256 + 1 + 1  # ab, and the boundary; " ab" comes once
    assert Bpe(vocab_size=1000, boundary=None).train([]).vocab_size == 256


def test_training_again_learns_as_much_as_the_first_time():
    tokenizer = Bpe(vocab_size=260).train(["ab ab"])
    assert tokenizer.vocab_size == 258
    assert tokenizer.train(["abcd abcd abcd"]).vocab_size == 260


@pytest.mark.parametrize(
    "options",
    [{}, {"boundary": None}, {"pattern": "cl100k", "special": CHAT, "allow_special": CHAT, "normalize": "NFC"}],
)
def test_a_saved_tokenizer_is_the_same(scripts, options):
    before = Bpe(vocab_size=350, **options).train(scripts.values())
    after = Bpe.from_dict(json.loads(json.dumps(before.to_dict())))
    assert after.to_dict() == before.to_dict()
    assert after.vocabulary == before.vocabulary
    assert [after.encode(text) for text in scripts.values()] == [before.encode(text) for text in scripts.values()]
    assert (after.bos, after.vocab_size) == (before.bos, before.vocab_size)


@pytest.mark.parametrize("format", ["own.json", "own.tiktoken", "own"])
def test_a_file_takes_the_place_of_training(tmp_path, scripts, format):
    from microgpt_tokenizers.interchange.files import write_vocabulary

    learned = Bpe(vocab_size=350, pattern="cl100k", boundary=None).train(scripts.values())
    write_vocabulary(learned.vocabulary, tmp_path / format)
    read = Bpe(file=format, pattern="cl100k", special=[END])
    read.base = tmp_path
    read.train(iter(["a text that isn't looked at"]))
    assert (read.vocab_size, read.bos) == (351, 350)  # the boundary stands behind what the file has
    assert [read.encode(text) for text in scripts.values()] == [learned.encode(text) for text in scripts.values()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 256}, "vocab_size: found 256, allowed: 257 or more: 256 bytes, special tokens"),
        ({"min_frequency": 0}, "min_frequency: found 0, allowed: 1 or more"),
        ({"special": ["a", "a"]}, "special: found"),
        ({"special": [""]}, "special: found"),
        ({"boundary": ""}, "boundary: found nothing"),
        ({"allow_special": ["<|x|>"]}, r"unknown special token '<\|x\|>'.*Name it in `special` too"),
        ({"allow_special": [END]}, "is the boundary, which no text may contain"),
        ({"pattern": "gpt-2"}, r"unknown pattern 'gpt-2' \(did you mean 'gpt2'\?\)"),
        ({"pattern": r"(\w+"}, r"pattern: missing \)"),
        ({"normalize": "nfc"}, "normalize: found 'nfc'"),
        ({"file": ""}, "file: found nothing"),
    ],
)
def test_a_field_that_can_not_be_is_an_error(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Bpe(**options)


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda t: Bpe().encode("a"), r"no vocabulary yet; call train\(texts\) first"),
        (lambda t: t.encode("ab\ud800"), r"U\+D800\) at position 2 is half a UTF-16 pair"),
        (lambda t: t.encode_batch(["ab", "\udfff"]), r"U\+DFFF\) at position 0"),
        (lambda t: Bpe().train(["ok", "a\udc00"]), r"U\+DC00\) at position 1"),
        (lambda t: t.decode([1, 400]), "id 400 is outside the vocabulary; allowed: 0 to 399"),
        (lambda t: t.decode_bytes(-1), "id -1 is outside"),
        (
            lambda t: Bpe(file="none.json").train([]),
            "none.json: there is no such file or folder; expected a .json file",
        ),
        (
            lambda t: Bpe(boundary="<|im_end|>").use(t.vocabulary),
            r"no special token '<\|im_end\|>'; it has: <\|endoftext",
        ),
        (lambda t: t.encode("a", allow_special=["<|x|>"]), r"unknown special token '<\|x\|>'"),
    ],
)
def test_misuse_is_an_error(implementation, tokenizer, do, message):
    with pytest.raises((DataError, ConfigurationError), match=message):
        do(tokenizer)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"version": 9}, "format version 9"),
        ({"boundary": 5}, "needs `boundary`"),
        ({"boundary": "<|x|>"}, "no special token"),
        ({"allow_special": None}, "`allow_special`, a list"),
        ({"allow_special": [[]]}, "allow_special: found"),
        ({"tokenizer": None}, "expected a tokenizer.json"),
        ({"tokenizer": {"model": {"vocab": {}, "merges": []}}}, "pre_tokenizer: found None"),
    ],
)
def test_a_damaged_save_is_named(tokenizer, damage, message):
    with pytest.raises(CheckpointError, match=message):
        Bpe.from_dict({**tokenizer.to_dict(), **damage})


def test_the_environment_chooses_the_implementation(monkeypatch, tokenizer):
    monkeypatch.setenv(choice.VARIABLE, "python")
    assert choice.native() is None
    assert choice.trainer().__module__ == "microgpt_tokenizers.bpe.training"
    assert type(choice.encoder(tokenizer.vocabulary)).__module__ == "microgpt_tokenizers.bpe.encoding"
    monkeypatch.setenv(choice.VARIABLE, "fast")
    with pytest.raises(ConfigurationError, match="MICROGPT_TOKENIZERS: found 'fast', allowed: auto, native, python"):
        choice.native()


def test_a_real_text(tinyshakespeare):
    text = tinyshakespeare[:200_000]
    tokenizer = Bpe(vocab_size=512).train([text])
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ids) < len(text) / 1.8
    assert tokenizer.bos not in ids
