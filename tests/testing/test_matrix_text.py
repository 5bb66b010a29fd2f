"""Bugs of tokenizers, datasets and transforms x checks: each is found by its check, and each check has its bug."""

import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar

import pytest

from microgpt_core.components import Dataset, Tokenizer, Transform
from microgpt_core.errors import CheckpointError, DataError
from microgpt_core.testing.datasets import dataset_checks
from microgpt_core.testing.tokenizers import tokenizer_checks
from microgpt_core.testing.transforms import transform_checks


@dataclass(eq=False)
class Bytes(Tokenizer):
    """The bytes of UTF-8, those that the texts have, and bos behind them: the control."""

    name = "bytes"
    suffix: str = ""

    def train(self, texts):
        return self.learn(sorted(set("".join(texts).encode())))

    def learn(self, known):
        self.known = list(known)
        self.bos = len(self.known)
        self.vocab_size = self.bos + 1
        return self

    def encode(self, text):
        try:
            return [self.known.index(b) for b in text.encode()]
        except ValueError as error:
            raise DataError(str(error)) from error

    def decode(self, ids):
        return b"".join(map(self.decode_bytes, ids)).decode()

    def decode_bytes(self, token):
        if not 0 <= token < self.vocab_size:
            raise DataError(f"id {token}")
        return b"" if token == self.bos else bytes([self.known[token]])

    def to_dict(self) -> dict[str, Any]:
        return {"use": self.name, "known": self.known}

    @classmethod
    def from_dict(cls, state):
        if "known" not in state:
            raise CheckpointError("no `known`")
        return cls().learn(state["known"])


class Lower(Bytes):
    def encode(self, text):
        return super().encode(text.lower())


class Lowering(Lower):
    """It says that it loses something, and loses it once: a second control."""

    lossless = False


class Shrinking(Bytes):
    """It loses something more each time."""

    lossless = False

    def encode(self, text):
        return super().encode(text[1:])


class Beyond(Bytes):
    def learn(self, known):
        super().learn(known)
        self.vocab_size -= 2
        self.bos = None
        return self

    def decode_bytes(self, token):
        return bytes([self.known[token]])


class Framed(Bytes):
    def encode(self, text):
        return [self.bos, *super().encode(text)]


class Talking(Bytes):
    def decode_bytes(self, token):
        return b"<bos>" if token == self.bos else super().decode_bytes(token)


class Broken(Bytes):
    """It streams character by character what isn't one."""

    def decode(self, ids):
        return b"".join(Bytes.decode_bytes(self, i) for i in ids).decode("utf-8", "replace")

    def decode_bytes(self, token):
        return self.decode([token]).encode()


class Reordered(Bytes):
    @classmethod
    def from_dict(cls, state):
        return super().from_dict({"known": sorted(state["known"], reverse=True)} if state else state)


class Nameless(Bytes):
    def to_dict(self):
        return super().to_dict() | {"use": "utf8"}


class Unordered(Bytes):
    def train(self, texts):
        words = {f"{b:02}" for b in set("".join(texts).encode())}
        return self.learn(int(word) for word in words)


class Crashing(Bytes):
    def train(self, texts):
        self.counts = dict.fromkeys("".join(texts), 0)
        return super().train(self.counts)

    def encode(self, text):
        for character in text:
            self.counts[character] += 1
        return super().encode(text)


class Growing(Bytes):
    def decode(self, ids):
        return bytes(self.known[i] for i in ids if i != self.bos).decode("utf-8", "replace")


class Returnless(Bytes):
    def train(self, texts):
        super().train(texts)


class Wrapping(Bytes):
    """-1 is the last id, as in a list."""

    def decode_bytes(self, token):
        return super().decode_bytes(token % self.vocab_size)


class Backwards(Bytes):
    """What is read from the end can't be written from the start."""

    def encode(self, text):
        return super().encode(text)[::-1]

    def decode(self, ids):
        return super().decode(ids[::-1])


class Forgiving(Bytes):
    @classmethod
    def from_dict(cls, state):
        return super().from_dict({"known": []} | state)


TOKENIZERS = [
    (Returnless, "text_comes_back", "TypeError: train returns None, expected the tokenizer: return self"),
    (Lower, "text_comes_back", "ASCII comes back changed: at 65, 'ABCDE' has become 'abcde'"),
    (
        Shrinking,
        "text_comes_back",
        "words, read and written once, comes back changed: at 0, 'he qu' has become",
    ),
    (Beyond, "ids_are_in_range", "allowed: integers from 0 to "),
    (Framed, "ids_are_in_range", ") among its ids, which stands between documents only"),
    (Talking, "bos_says_nothing", ") decodes to text; it stands for nothing"),
    (Broken, "bytes_join_to_the_text", "words: decode_bytes of its ids, joined, isn't what decode gives"),
    (Backwards, "bytes_join_to_the_text", "gives: at byte 0, b'\\n!ro\\xb1' is not b'The q'; a model writes id by id"),
    (Reordered, "a_saved_one_is_the_same", "from_dict(to_dict()) encodes or decodes ASCII in another way"),
    (Nameless, "a_saved_one_is_the_same", "to_dict: `use` is 'utf8', by which nobody would find 'bytes'"),
    (Unordered, "same_in_every_process", "in two processes it learns two vocabularies"),
    (Crashing, "refuses_by_value_error", "encode('\U0001f9ff') raises KeyError ("),
    (Growing, "refuses_by_value_error", "raises IndexError (list index out of range), expected DataError"),
    (Wrapping, "refuses_by_value_error", ") gives '\\x00', expected DataError or another ValueError"),
    (Forgiving, "refuses_by_value_error", "from_dict({}) gives Forgiving("),
]


@pytest.mark.parametrize(("broken", "check", "said"), TOKENIZERS, ids=[bug.__name__ for bug, _, _ in TOKENIZERS])
def test_a_tokenizer_s_bug_is_found(failures, broken, check, said) -> None:
    (chosen,) = [c for c in tokenizer_checks(broken()) if c.name == check]
    assert any(said in note for note in failures([chosen])[check])


def test_methods_that_are_missing_are_named(failures) -> None:
    class Half(Tokenizer):
        name = "half"
        train, encode, to_dict = Bytes.train, Bytes.encode, Bytes.to_dict

    assert failures(tokenizer_checks(Half())) == {"has_its_methods": ["it has no decode, no from_dict"]}


@pytest.mark.parametrize("right", [Bytes, Lowering])
def test_every_check_of_tokenizers_has_its_bug_and_lets_what_is_right_pass(failures, right) -> None:
    checks = tokenizer_checks(right())
    assert {check for _, check, _ in TOKENIZERS} == {check.name for check in checks}
    assert failures(checks) == {}


@dataclass(kw_only=True)
class Words(Dataset):
    """Some words: the control."""

    name = "words"
    n: int = 20

    def documents(self, split):
        words = [f"word {i}" for i in range(self.n)]
        return iter(words[:-3] if split == "train" else words[-3:])


class Numbers(Words):
    def documents(self, split):
        return iter(range(3))


class Empty(Words):
    def documents(self, split):
        return iter(())


class Shuffled(Words):
    def documents(self, split):
        words = list(super().documents(split))
        random.shuffle(words)
        return iter(words)


class Shared(Words):
    """One iterator for everybody."""

    def documents(self, split):
        if not hasattr(self, "reading"):
            self.reading = {split: super(Shared, self).documents(split) for split in ("train", "validation")}
        return self.reading[split]


class Leaking(Words):
    def documents(self, split):
        words = [f"word {i}" for i in range(self.n)]
        return iter(words if split == "train" else words[-3:])


class Unsorted(Words):
    def documents(self, split):
        return iter(set(super().documents(split)))


class Absent(Words):
    def documents(self, split):
        raise DataError("fetch it with: microgpt data get words")


DATASETS = [
    (Numbers, "gives_documents", "train has 0 (int) among its documents; expected str"),
    (Empty, "gives_documents", "train has no document with text"),
    (Shuffled, "same_order_each_call", "documents('train') gives other documents, or another order, at a second call"),
    (Shared, "same_order_each_call", "documents('train') gives other documents"),
    (Leaking, "splits_are_disjoint", "3 documents are in both splits, 'word 1"),
    (Unsorted, "same_in_every_process", "in two processes it has two orders"),
]


@pytest.mark.parametrize(("broken", "check", "said"), DATASETS, ids=[bug.__name__ for bug, _, _ in DATASETS])
def test_a_dataset_s_bug_is_found(failures, broken, check, said) -> None:
    (chosen,) = [c for c in dataset_checks(broken()) if c.name == check]
    assert any(said in note for note in failures([chosen])[check])


def test_every_check_of_datasets_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = dataset_checks(Words(n=9))
    assert {check for _, check, _ in DATASETS} == {check.name for check in checks}
    assert failures(checks) == {}


@dataclass
class Ids(Dataset):
    """Numbers: the control."""

    name = "ids"
    folder: str = ""

    def tokens(self, split):
        return range(100) if split == "train" else range(9)

    def tokenizer(self):
        return Path(self.folder)


class Negative(Ids):
    def tokens(self, split):
        return range(-5, 100)


class Moving(Ids):
    def tokens(self, split):
        return [random.randrange(1000) for _ in range(50)]


class NoNumber(Ids):
    def tokens(self, split):
        return []


class Meaningless(Ids):
    def tokenizer(self):
        return None


TOKENS = [
    (Negative, "gives_tokens", "-5 among its tokens"),
    (Moving, "gives_tokens", "than those of a second call"),
    (NoNumber, "gives_tokens", "train has no token"),
    (Meaningless, "says_what_they_mean", "tokenizer() gives None"),
]


@pytest.mark.parametrize(("broken", "check", "said"), TOKENS, ids=[bug.__name__ for bug, _, _ in TOKENS])
def test_a_bug_of_a_dataset_of_numbers_is_found(failures, broken, check, said, tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert any(said in note for note in failures(dataset_checks(broken(str(tmp_path))))[check])
    right = dataset_checks(Ids(str(tmp_path)))
    assert {check for _, check, _ in TOKENS} == {check.name for check in right}
    assert failures(right) == {}


@dataclass
class Lower(Transform):
    """Small letters, and no text twice: the control."""

    name = "lower"

    def apply(self, texts, split):
        seen = set()
        for text in texts:
            if text not in seen:
                seen.add(text)
                yield text.lower()


class Lengths(Lower):
    def apply(self, texts, split):
        return (len(text) for text in texts)


class MakesUp(Lower):
    def apply(self, texts, split):
        yield "once upon a time"
        yield from texts


class Remembers(Lower):
    seen: ClassVar[set[str]] = set()

    def apply(self, texts, split):
        for text in texts:
            if text not in self.seen:
                self.seen.add(text)
                yield text


class Sorts(Lower):
    def apply(self, texts, split):
        yield from sorted(texts)


class ByHash(Lower):
    def apply(self, texts, split):
        return (text for text in texts if hash(text) % 2)


TRANSFORMS = [
    (Lengths, "gives_texts", "(int) among its documents"),
    (MakesUp, "gives_texts", "of no documents it makes 'once upon"),
    (Remembers, "same_at_each_call", "gives other documents at a second call"),
    (Sorts, "gives_as_it_reads", "reads all 3000 texts before it gives one"),
    (ByHash, "same_in_every_process", "in two processes it does two things"),
]


@pytest.mark.parametrize(("broken", "check", "said"), TRANSFORMS, ids=[bug.__name__ for bug, _, _ in TRANSFORMS])
def test_a_transform_s_bug_is_found(failures, broken, check, said) -> None:
    (chosen,) = [c for c in transform_checks(broken()) if c.name == check]
    assert any(said in note for note in failures([chosen])[check])


def test_every_check_of_transforms_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = transform_checks(Lower())
    assert {check for _, check, _ in TRANSFORMS} == {check.name for check in checks}
    assert failures(checks) == {}


@dataclass
class Two(Dataset):
    """Another dataset, twice: components within components reach another process, too."""

    name = "two"
    datasets: list[Dataset]

    def documents(self, split):
        for dataset in self.datasets:
            yield from dataset.documents(split)


def test_components_within_components_are_tried_in_another_process(failures) -> None:
    assert failures(dataset_checks(Two([Words(), Words()]))[-1:]) == {}
    assert failures(dataset_checks(Two([Words(), Unsorted()]))[-1:]) != {}


def test_data_that_is_not_here_is_no_failure() -> None:
    results = [check.run() for check in dataset_checks(Absent())]
    assert {r.state for r in results} == {"skipped"}
    assert results[0].notes == ["fetch it with: microgpt data get words"]


def test_a_class_made_inside_a_function_is_not_tried_in_another_process() -> None:
    class Local(Words):
        pass

    result = dataset_checks(Local())[-1].run()
    assert (result.check, result.state) == ("same_in_every_process", "skipped")
    assert "can't be imported in another process; define it in a module of its own" in result.notes[0]


def test_a_module_that_runs_the_checks_at_import_does_not_start_processes_for_ever(tmp_path) -> None:
    body = """
        from microgpt_core.components import Dataset
        from microgpt_core.testing import check_dataset

        class Words(Dataset):
            name = "words"
            def documents(self, split):
                return iter([split, "and more"])

        print(check_dataset(Words()))
    """
    (tmp_path / "words.py").write_text(dedent(body), encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), *sys.path]))
    command = [sys.executable, "-c", "import words"]
    result = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, encoding="utf-8")
    assert "dataset words: 1 of 4 checks failed" in result.stdout, result.stderr  # both splits have "and more"
    assert "same_in_every_process" not in result.stdout
