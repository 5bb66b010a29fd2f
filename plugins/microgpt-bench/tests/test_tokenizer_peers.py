"""`tokenizers` and `tiktoken` make of texts what our bpe makes of them; the first learns what it learns."""

import json
from pathlib import Path
from typing import Any

import pytest

from microgpt_bench.bench import Question, bench
from microgpt_bench.measuring.race import Effort
from microgpt_bench.measuring.same_tokens import AS_GOOD, COMMON, differ
from microgpt_bench.peers.tiktoken import Tiktoken
from microgpt_bench.peers.tokenizers import Tokenizers
from microgpt_bench.work import tokenize
from microgpt_bench.work.tokenize import DOCUMENT, documents, keep, read
from microgpt_core.errors import ConfigurationError
from microgpt_core.text.char import Char

bpe = pytest.importorskip("microgpt_tokenizers.bpe.tokenizer", reason="microgpt-tokenizers isn't installed")
tokenizers = pytest.importorskip("tokenizers")
tiktoken = pytest.importorskip("tiktoken")
TEXTS = list(documents([]))[:1] + ["It's 1234 o'clock,  isn't it?\n\n\tНет! 中文 😀 <|endoftext|> "]
PATTERN = pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])


def ours(pattern: str = "gpt2") -> Any:
    return bpe.Bpe(vocab_size=600, boundary=None, pattern=pattern)


@PATTERN
@pytest.mark.parametrize("peer", [Tokenizers, Tiktoken])
@pytest.mark.parametrize("threads", [1, 2])
def test_with_one_vocabulary_the_ids_are_the_same(pattern: str, peer: Any, threads: int) -> None:
    tokenizer = ours(pattern).train(TEXTS)
    theirs = peer().tokenizer(tokenizer)
    expected = tokenizer.encode_batch(TEXTS, threads)
    assert theirs.encode_batch(TEXTS, threads) == expected
    assert [theirs.encode(text) for text in TEXTS] == expected
    assert [theirs.decode(ids) for ids in expected] == TEXTS


@PATTERN
def test_what_tokenizers_learns_is_as_good(pattern: str) -> None:
    tokenizer, theirs = ours(pattern).train(TEXTS), Tokenizers().tokenizer(ours(pattern)).train(TEXTS)
    assert theirs.vocab_size == 600
    learned = [{t.decode_bytes(i).hex() for i in range(600)} for t in (tokenizer, theirs)]
    outcomes = [
        {"learned": found, "tokens": sum(len(t.encode(text)) for text in TEXTS), "whole": True}
        for found, t in zip(learned, (tokenizer, theirs), strict=True)
    ]
    found = differ(outcomes[1], outcomes[0])
    assert found["vocabulary"] <= 1 - COMMON
    assert found["length"] <= AS_GOOD


@pytest.mark.parametrize("peer", [Tokenizers(), Tiktoken()])
def test_other_tokenizers_they_cannot_be(peer: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"found char, allowed for {peer.name}: bpe"):
        peer.tokenizer(Char())


def test_tiktoken_learns_nothing() -> None:
    with pytest.raises(ConfigurationError, match="it learns no vocabularies"):
        Tiktoken().tokenizer(ours())


def test_who_is_not_installed_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for peer in (Tokenizers, Tiktoken):
        assert peer().unavailable() is None
        monkeypatch.setattr(f"{peer.__module__}.find_spec", lambda name: None)
        assert f"pip install {peer.name}" in str(peer().unavailable())


def test_texts_are_cut_at_ends_of_lines(tmp_path: Path) -> None:
    text = "line\n" * (DOCUMENT // 2)
    (tmp_path / "a.txt").write_text(text, encoding="utf-8", newline="\n")
    (tmp_path / "b.txt").write_text("é" * 2 * DOCUMENT, encoding="utf-8", newline="\n")
    found = list(documents([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]))
    assert "".join(found) == text + "é" * 2 * DOCUMENT
    assert len(found) == 4
    assert all(piece.endswith("\n") for piece in found[:3])


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a bpe has learned of a file, as the command has it learn."""

    class Found:
        def get(self, kind: str, name: str) -> Any:
            return bpe.Bpe

    monkeypatch.setattr(tokenize, "load", lambda builtin: Found())
    (tmp_path / "text.txt").write_text("".join(TEXTS), encoding="utf-8", newline="\n")
    keep("bpe", [str(tmp_path / "text.txt")], 500, tmp_path / "bpe.json")
    return tmp_path / "bpe.json"


def test_what_is_kept_is_what_was_learned(kept: Path) -> None:
    found = read(bpe.Bpe, str(kept))
    expected = bpe.Bpe(vocab_size=500, boundary=None).train(documents([str(kept.with_name("text.txt"))]))
    assert found.vocab_size == 500
    assert found.encode(TEXTS[1]) == expected.encode(TEXTS[1])


def test_ranks_are_read_as_they_are(kept: Path) -> None:
    from microgpt_tokenizers.interchange.files import write_vocabulary

    file = kept.with_name("r50k_base.tiktoken")  # whose pattern is known
    found = read(bpe.Bpe, str(kept))
    write_vocabulary(found.vocabulary, file)
    assert read(bpe.Bpe, str(file)).encode(TEXTS[1]) == found.encode(TEXTS[1])


@pytest.mark.slow
def test_they_race(tmp_path: Path) -> None:
    if "bpe" not in tokenize.tokenizers():
        pytest.skip("microgpt-tokenizers is no installed pack here")
    (tmp_path / "text.txt").write_text("".join(TEXTS), encoding="utf-8", newline="\n")
    texts = [str(tmp_path / "text.txt")]
    keep("bpe", texts, 500, tmp_path / "bpe.json")
    more = {"texts": texts, "vocab_size": 500, "vocabularies": {"bpe encode": str(tmp_path / "bpe.json")}}
    question = Question(
        "tokenize", ["bpe train", "bpe encode"], ["microgpt"], peers=["tokenizers", "tiktoken"], more=more
    )
    report = bench(question, Effort(rounds=1, processes=1, block_seconds=0.001))
    assert [(one.model, one.candidate) for one in report.results] == [
        ("bpe train", "microgpt"), ("bpe train", "tokenizers"),
        ("bpe encode", "microgpt"), ("bpe encode", "tokenizers"), ("bpe encode", "tiktoken"),
    ]  # fmt: skip
    assert list(report.skipped) == ["bpe train: tiktoken"]
    assert report.agreement["bpe encode: tiktoken"] == {"text": 0.0, "tokens": 0.0}
    assert all(one.memory is not None for one in report.ratios)
    assert json.dumps(report.to_dict())
