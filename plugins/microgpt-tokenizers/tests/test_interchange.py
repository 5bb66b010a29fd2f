"""Other programs' vocabularies: read with the ids that those programs give, written so that they can read them.

tests/vocabularies has small ones that `tokenizers` 0.23.3 (huggingface-*.json) and `tiktoken` 0.14.0
(small.tiktoken, by three patterns) have encoded the texts of conftest with. MICROGPT_RANKS names a folder with the
published ones.
"""

import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from microgpt_core.errors import ConfigurationError, DataError
from microgpt_tokenizers.bpe.ranks import by_ids_alone, every_split, one_merge_each
from microgpt_tokenizers.bpe.splitting import PATTERNS
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.bpe.vocabulary import Vocabulary, check_ids
from microgpt_tokenizers.interchange import tiktoken_ranks, tokenizer_json
from microgpt_tokenizers.interchange.alphabet import TO_TEXT, to_bytes, to_text
from microgpt_tokenizers.interchange.files import read_vocabulary, write_vocabulary

SMALL = Path(__file__).with_name("vocabularies")
EXPECTED = json.loads((SMALL / "expected.json").read_text(encoding="utf-8"))
PUBLISHED = {
    "r50k_base.tiktoken": "r50k_base",
    "cl100k_base.tiktoken": "cl100k_base",
    "o200k_base.tiktoken": "o200k_base",
}
URLS = {
    **{file: f"https://openaipublic.blob.core.windows.net/encodings/{file}" for file in PUBLISHED},
    "encoder.json": "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/encoder.json",
    "vocab.bpe": "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/vocab.bpe",
}


def opened(path: Path, pattern: str | None = None) -> Bpe:
    return Bpe(boundary=None).use(read_vocabulary(path, pattern))


def learned(scripts, **fields) -> Bpe:
    return Bpe(**{"vocab_size": 420} | fields).train([*scripts.values()] * 2)


def different(tokenizer: Bpe, expected: dict[str, list[int]], scripts: dict[str, str]) -> list[str]:
    return [what for what, ids in expected.items() if tokenizer.encode(scripts[what]) != ids]


@pytest.mark.parametrize("name", EXPECTED)
def test_ids_are_those_of_the_program_that_made_the_file(implementation, scripts, name):
    file, _, pattern = name.partition(" ")
    tokenizer = opened(SMALL / file, pattern or None)
    assert len(EXPECTED[name]) >= 17
    assert different(tokenizer, EXPECTED[name], scripts) == []


def test_a_vocabulary_with_one_merge_less_is_found(scripts):
    name = "huggingface-gpt2.json"
    vocabulary = read_vocabulary(SMALL / name)
    assert vocabulary.merges is not None
    lacking = Vocabulary(vocabulary.tokens, vocabulary.merges[1:], vocabulary.pattern)
    assert different(Bpe(boundary=None).use(lacking), EXPECTED[name], scripts)


def test_what_a_file_says_beside_merges_is_read():
    vocabulary = read_vocabulary(SMALL / "huggingface-split.json")
    assert vocabulary.special == {"<|endoftext|>": 0, "<|pad|>": 1}
    assert vocabulary.normalize == "NFC"
    assert r"\p{N}{1,3}" in vocabulary.pattern
    assert read_vocabulary(SMALL / "huggingface-gpt2.json").pattern == "gpt2"


@pytest.mark.parametrize("pattern", [*PATTERNS, r"\p{L}+|\s+"])
@pytest.mark.parametrize("by_ids", [False, True])
def test_what_is_written_is_read_again(tmp_path, scripts, pattern, by_ids):
    vocabulary = learned(scripts, pattern=pattern, special=["<|pad|>"], normalize="NFC").vocabulary
    if by_ids:
        vocabulary = Vocabulary(vocabulary.tokens, None, pattern, vocabulary.special, "NFC")
    write_vocabulary(vocabulary, tmp_path / "a.json")
    assert read_vocabulary(tmp_path / "a.json") == vocabulary


@pytest.mark.parametrize("form", ["folder", "ranks.tiktoken"])
def test_the_other_formats_keep_the_ids(tmp_path, scripts, form):
    before = learned(scripts, pattern="o200k", boundary=None)
    write_vocabulary(before.vocabulary, tmp_path / form)
    after = opened(tmp_path / form, "o200k")
    assert {what: after.encode(text) for what, text in scripts.items()} == {
        what: before.encode(text) for what, text in scripts.items()
    }
    assert after.vocabulary.tokens == before.vocabulary.tokens


def test_a_folder_may_be_named_by_one_of_its_files(tmp_path, scripts):
    tokenizer = learned(scripts)
    write_vocabulary(tokenizer.vocabulary, tmp_path / "gpt2")
    for name in ("gpt2", "gpt2/vocab.json", "gpt2/merges.txt"):
        assert read_vocabulary(tmp_path / name) == tokenizer.vocabulary


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("by_ids", [False, True])
def test_hugging_face_reads_what_is_written(tmp_path, scripts, pattern, by_ids):
    tokenizers = pytest.importorskip("tokenizers")
    ours = learned(scripts, pattern=pattern, normalize="NFC")
    if by_ids:
        vocabulary = ours.vocabulary
        ours = Bpe().use(Vocabulary(vocabulary.tokens, None, pattern, vocabulary.special, "NFC"))
    write_vocabulary(ours.vocabulary, tmp_path / "a.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "a.json"))
    texts = [text for what, text in scripts.items() if what != "marks"]  # where they obey <|endoftext|>
    assert [theirs.encode(text).ids for text in texts] == [ours.encode(text) for text in texts]
    assert theirs.decode(ours.encode(texts[0])) == texts[0]


def test_tiktoken_reads_what_is_written(tmp_path, scripts):
    tiktoken = pytest.importorskip("tiktoken")
    ours = learned(scripts, boundary=None)
    write_vocabulary(ours.vocabulary, tmp_path / "a.tiktoken")
    ranks = tiktoken_ranks.read_ranks(tmp_path / "a.tiktoken")
    theirs = tiktoken.Encoding("ours", pat_str=PATTERNS["gpt2"], mergeable_ranks=ranks, special_tokens={})
    assert [theirs.encode(text) for text in scripts.values()] == [ours.encode(text) for text in scripts.values()]


def test_a_model_s_own_file_is_read_like_any_other(tmp_path, scripts):
    tokenizer = learned(scripts)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer.to_dict()), encoding="utf-8")
    assert read_vocabulary(tmp_path) == read_vocabulary(tmp_path / "tokenizer.json") == tokenizer.vocabulary


def random_strings(n: int) -> list[str]:
    """Strings that pre-tokenisation finds hard: few kinds of characters, often alternating."""
    rng = random.Random(9)
    alphabets = ["ab 'sStT", " \n\r\t\u00a0", "12 ,.", "éß中 ю", "aA'LlVv ", "!?/ \n", "\u0301a\u200dक", "🙂 x🏽"]
    return ["".join(rng.choices(rng.choice(alphabets), k=rng.randrange(1, 30))) for _ in range(n)]


@pytest.mark.slow
@pytest.mark.parametrize("file", [*PUBLISHED, "vocab.bpe"])
def test_published_vocabularies_give_tiktoken_s_ids(implementation, ranks, scripts, tmp_path, monkeypatch, file):
    tiktoken = pytest.importorskip("tiktoken")
    for name, url in URLS.items():  # where tiktoken looks before it asks the network
        (tmp_path / hashlib.sha1(url.encode()).hexdigest()).write_bytes((ranks / name).read_bytes())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    theirs = tiktoken.get_encoding(PUBLISHED.get(file, "gpt2"))
    ours = Bpe(file=str(ranks / file)).train([])
    assert (ours.vocab_size, ours.bos) == (theirs.n_vocab, theirs.eot_token)
    for text in [*scripts.values(), "".join(scripts.values()), *random_strings(1000)]:
        assert ours.encode(text) == theirs.encode(text, disallowed_special=()), text
    chat = "a<|endoftext|>b"
    assert ours.encode(chat, allow_special=["<|endoftext|>"]) == theirs.encode(chat, allowed_special="all")


@pytest.mark.slow
def test_gpt2_s_two_files_are_the_same_vocabulary(ranks):
    from_ranks, from_merges = read_vocabulary(ranks / "r50k_base.tiktoken"), read_vocabulary(ranks)
    assert from_ranks.tokens == from_merges.tokens
    assert from_ranks.special == from_merges.special == {"<|endoftext|>": 50256}
    assert one_merge_each(from_ranks.tokens) == from_merges.merges


def test_every_byte_has_a_character_of_its_own():
    assert to_text(b" \n\x00A\xff") == "ĠĊĀAÿ"
    assert to_bytes("".join(TO_TEXT.values())) == bytes(TO_TEXT)
    assert len(set(TO_TEXT.values())) == 256
    assert not any(character.isspace() for character in TO_TEXT.values())


def test_merges_and_the_order_of_ids_say_the_same_of_what_was_learned(scripts):
    vocabulary = learned(scripts).vocabulary
    assert one_merge_each(vocabulary.tokens) == vocabulary.merges
    assert set(vocabulary.merges or []) <= set(every_split(vocabulary.tokens))
    assert by_ids_alone(vocabulary.tokens, vocabulary.merges)
    turned = (vocabulary.merges or [])[::-1]
    assert not by_ids_alone(vocabulary.tokens, turned)


def every_split_by_trying(tokens):
    found = [
        (i, tokens[token[:at]], tokens[token[at:]], (token[:at], token[at:]))
        for token, i in tokens.items()
        for at in range(1, len(token))
        if token[:at] in tokens and token[at:] in tokens
    ]
    return [merge for *_, merge in sorted(found)]


def parts_by_trying(token, limit, tokens):
    parts = [token[i : i + 1] for i in range(len(token))]
    while True:
        joined = [(tokens.get(parts[at] + parts[at + 1], limit), at) for at in range(len(parts) - 1)]
        i, at = min(joined, default=(limit, 0))
        if i >= limit:
            return parts
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


@given(st.lists(st.text("ab", min_size=1, max_size=7).map(str.encode), unique=True, max_size=25), st.randoms())
def test_splits_and_merges_are_those_that_trying_finds(longer, draw):
    names = [b"a", b"b", *(token for token in longer if len(token) > 1)]
    ids = draw.sample(range(len(names)), len(names))
    tokens = dict(zip(names, ids, strict=True))
    assert every_split(tokens) == every_split_by_trying(tokens)
    parts = [parts_by_trying(token, i, tokens) for token, i in sorted(tokens.items(), key=lambda entry: entry[1])]
    expected = [tuple(each) for each in parts if len(each) > 1]
    if all(len(each) == 2 for each in expected):
        assert one_merge_each(tokens) == expected
    else:
        with pytest.raises(DataError, match="isn't made of two others: lower ids make"):
            one_merge_each(tokens)


def test_the_time_is_that_of_the_bytes_however_long_a_token_is():
    """Trying takes hours."""
    tokens = {b"a": 0, b"b": 1}
    for i in range(2, 19):
        tokens[b"ab" * (1 << (i - 2))] = i
    assert every_split(tokens) == one_merge_each(tokens)
    assert max(map(len, tokens)) == 1 << 17
    with pytest.raises(DataError, match="isn't made of two others"):
        one_merge_each(tokens | {b"ba" * (1 << 16): 30})


def document(scripts, **changes):
    """A file that can be read, but for the changes: of the document, or of its model with a leading underscore."""
    found = tokenizer_json.to_document(learned(scripts, vocab_size=300).vocabulary)
    for name, value in changes.items():
        (found["model"] if name.startswith("_") else found)[name.removeprefix("_")] = value
    return found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_type": "Unigram"}, "its model is 'Unigram'; only BPE can be read"),
        ({"_byte_fallback": True}, "model.byte_fallback is True, allowed: None"),
        ({"_end_of_word_suffix": "</w>"}, "model.end_of_word_suffix is '</w>'"),
        ({"_vocab": {"a": 0}}, "no token for 255 of the 256 bytes"),
        ({"_vocab": []}, "model.vocab: expected an object"),
        ({"_vocab": {"世": 5}}, "has '世' in it, which stands for no byte"),
        ({"_merges": [["a", "b", "c"]]}, r"model.merges: found \['a', 'b', 'c'\], expected two tokens"),
        ({"_merges": ["Ġ Ġ", "Ġ Ġ"]}, "b' ' and b' ' is there twice"),
        ({"_merges": ["z q"]}, "the merge of b'z' and b'q': b'zq' is no token"),
        ({"_merges": 5}, "model.merges: found 5, expected a list"),
        ({"_ignore_merges": True, "_merges": []}, "its merges aren't in the order of the ids"),
        ({"added_tokens": [{"content": "  ", "id": 300}]}, "'  ' isn't special"),
        ({"added_tokens": ["<|x|>"]}, "added_tokens: found '<|x|>'"),
        ({"added_tokens": [{"content": "x", "id": 7, "special": True}]}, "the id 7 is that of two tokens"),
        (
            {"added_tokens": [{"content": "x", "id": -7, "special": True}]},
            "found the id -7, allowed: whole numbers from 0",
        ),
        ({"added_tokens": [{"content": "x", "id": 1 << 40, "special": True}]}, "found the id 1099511627776"),
        (
            {"normalizer": {"type": "Lowercase"}},
            "normalizer: found {'type': 'Lowercase'}, allowed: null, or one of",
        ),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "pre_tokenizer: found {'type': 'Metaspace'}, allowed: ByteLevel"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "pre_tokenizer: found"),
    ],
)
def test_what_can_not_be_read_is_refused(tmp_path, scripts, changes, message):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document(scripts, **changes)), encoding="utf-8")
    with pytest.raises(DataError, match=message.replace("|", r"\|").replace("{", r"\{")) as caught:
        read_vocabulary(file)
    assert str(caught.value).startswith(str(file))


def test_an_id_that_is_there_twice_is_found_in_a_large_vocabulary():
    """In one look: to count each of 200,000 would take ten minutes."""
    tokens = {b"%d" % i: i for i in range(200_000)} | {b"last": 199_999}
    with pytest.raises(DataError, match="the id 199999 is that of two tokens"):
        check_ids([*tokens.values()])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"[1]", "found list, expected a JSON object"),
        ("a.json", b"{", "it isn't JSON"),
        ("a.json", b"[" * 100_000, "it isn't JSON"),
        ("a.json", b"\xff", "it isn't JSON"),
        ("a.json", b"{}", "an object with a `model`"),
        ("r50k_base.tiktoken", b"IQ== 0\nIg= 1", r"line 2: found b'Ig= 1', expected a token in base64 and its id"),
        ("r50k_base.tiktoken", b"IQ== 0", "no token for 255 of the 256 bytes"),
        ("mine.tiktoken", b"", "doesn't say where texts are cut; set the pattern"),
        ("b/vocab.json", b"{}", "it has no vocabulary in it; expected vocab.json and merges.txt, or encoder.json"),
        ("none", None, "there is no such file or folder"),
    ],
)
def test_a_file_with_something_else_in_it_is_refused(tmp_path, name, content, message):
    file = tmp_path / name
    if content is not None:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    with pytest.raises((DataError, ConfigurationError), match=message):
        read_vocabulary(file)


@pytest.mark.parametrize(
    ("line", "message"), [("a", "merges.txt, line 2: found 'a'"), ("a b c", "line 2"), ("世 a", "stands for no byte")]
)
def test_a_line_that_is_no_merge_is_named(tmp_path, scripts, line, message):
    write_vocabulary(learned(scripts).vocabulary, tmp_path / "gpt2")
    (tmp_path / "gpt2" / "merges.txt").write_text(f"#version: 0.2\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_vocabulary(tmp_path / "gpt2")


def test_what_a_format_can_not_say_is_refused(tmp_path, scripts):
    vocabulary = learned(scripts).vocabulary
    turned = Vocabulary(vocabulary.tokens, (vocabulary.merges or [])[::-1], vocabulary.pattern)
    with pytest.raises(DataError, match="aren't in the order of its ids; write a tokenizer.json"):
        write_vocabulary(turned, tmp_path / "a.tiktoken")
    unmade = Vocabulary(vocabulary.tokens | {b"qqq": 999}, None, vocabulary.pattern)
    with pytest.raises(DataError, match=r"the token b'qqq' \(id 999\) isn't made of two others"):
        write_vocabulary(unmade, tmp_path / "folder")
    with pytest.raises(ConfigurationError, match="a.txt: no format ends like this"):
        write_vocabulary(vocabulary, tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["a", "Ġ", "Ġthe"])
def test_a_special_token_that_others_would_take_for_a_token_is_refused(scripts, name):
    with pytest.raises(
        DataError, match=f"the special token '{name}' is spelled as a token is; call it <|".replace("|", r"\|")
    ):
        learned({"the": "the cat in the hat and the dog " * 9}, special=[name])


VALUES = [None, True, -1, 1e9, 7, "", "a b", "\ud800", [], {}, [[]], ["a", "b"], {"type": "BPE"}, {"content": "x"}]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with some bytes changed or gone; of JSON, every other time, with a value changed or gone."""
    if data[:1] == b"{" and rng.random() < 0.5:
        document = json.loads(data)
        change_value(document, rng)
        return json.dumps(document).encode()
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(changed))
        changed[at : at + rng.randrange(1, 20)] = rng.randbytes(rng.randrange(3))
    return bytes(changed)


def change_value(node, rng: random.Random) -> None:
    """One value somewhere below becomes another, or goes."""
    key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.7:
        change_value(node[key], rng)
    elif rng.random() < 0.2:
        del node[key]
    else:
        node[key] = rng.choice(VALUES)


def escapes(folder: Path, read, n: int) -> list[str]:
    """What else than ValueError comes out of reading damaged files."""
    rng, found = random.Random(12), []
    for original in sorted({name.partition(" ")[0] for name in EXPECTED}):
        file, data = folder / original.replace("small", "r50k_base"), (SMALL / original).read_bytes()
        for _ in range(n):
            file.write_bytes(mutated(data, rng))
            try:
                read(file)
            except ValueError:
                continue
            except Exception as error:  # noqa: BLE001 - that is the question
                found.append(f"{original}: {type(error).__name__}: {error}")
    return found


def read_and_use(file: Path) -> None:
    tokenizer = opened(file)
    tokenizer.decode(tokenizer.encode("some text"))
    tokenizer.to_dict()


def test_nothing_but_value_error_comes_out_of_a_damaged_file(tmp_path):
    assert escapes(tmp_path, read_and_use, 60) == []


@pytest.mark.slow
def test_nothing_but_value_error_comes_out_of_thousands_of_damaged_files(tmp_path):
    assert escapes(tmp_path, read_and_use, 1000) == []


def test_what_trusts_a_file_is_found(tmp_path):
    def trusting(file: Path) -> None:
        json.loads(file.read_bytes())["model"]["vocab"].items()

    assert escapes(tmp_path, trusting, 200)
