"""Tokenizing: what there is to learn of texts, the texts as numbers, and the numbers as text again."""

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.work.peers import find_peer
from microgpt_bench.work.work import Work
from microgpt_core.components import Tokenizer
from microgpt_core.errors import DataError
from microgpt_core.pipeline import builtin
from microgpt_core.plugins.loader import load
from microgpt_core.text.files import read_text
from microgpt_core.text.names import Names

TASKS = TRAIN, ENCODE, DECODE = "train", "encode", "decode"
DOCUMENT = 1 << 16  # characters, about: threads share documents
RANKS = ".tiktoken"


def tokenizers() -> list[str]:
    """Those that are installed."""
    return load(builtin).names("tokenizers")


def tasks(more: Mapping[str, Any]) -> list[str]:
    """What can be measured: each tokenizer by its name, what it does, and with which of the vocabularies given."""
    return [*(f"{name} {task}" for name in tokenizers() for task in TASKS), *more.get("vocabularies", {})]


def reads_ranks(name: str) -> bool:
    """Whether a tokenizer takes a ready vocabulary from a file."""
    return "file" in {field.name for field in fields(load(builtin).get("tokenizers", name))}


class Tokenize(Work):
    """What the worker runs: a turn goes through all texts."""

    pieces = 32

    def __init__(
        self, who: Candidate, model: str, texts: Sequence[str] = (), vocab_size: int | None = None,
        vocabularies: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """`model` is one of `tasks(...)`, `texts` are paths; `vocabularies` are files of what was learned, by model."""
        name, self.task = model.split(" ")[:2]
        self.kind, self.vocab_size, self.threads = load(builtin).get("tokenizers", name), vocab_size, who.threads
        self.peer = find_peer(who.use) if who.peer else None
        self.texts = list(documents(texts))
        self.n_bytes = sum(len(text.encode()) for text in self.texts)
        self.tokenizer = self.new() if self.task == TRAIN else self.known((vocabularies or {}).get(model))
        self.ids = self.encode() if self.task != TRAIN else []

    def new(self) -> Tokenizer:
        """The candidate's tokenizer, which has learned nothing yet."""
        return self.theirs(made(self.kind, self.vocab_size))

    def known(self, file: str | None) -> Tokenizer:
        """The candidate's tokenizer, with what is in the file; without one it learns now."""
        return self.theirs(read(self.kind, file) if file else made(self.kind, self.vocab_size).train(self.texts))

    def theirs(self, ours: Tokenizer) -> Tokenizer:
        return self.peer.tokenizer(ours) if self.peer else ours

    def encode(self) -> list[list[int]]:
        """The ids of each text: by all threads at once, if the tokenizer can do that."""
        if batch := getattr(self.tokenizer, "encode_batch", None):
            found: list[list[int]] = batch(self.texts, self.threads)
            return found
        return [self.tokenizer.encode(text) for text in self.texts]

    def run(self, n: int) -> None:
        for _ in range(n):
            if self.task == TRAIN:
                self.tokenizer = self.new().train(self.texts)
            elif self.task == ENCODE:
                self.encode()
            else:
                self.decode(self.ids)

    def decode(self, ids: list[list[int]]) -> list[str]:
        return [self.tokenizer.decode(one) for one in ids]

    def facts(self) -> dict[str, Any]:
        """The ids of a turn, and the bytes of its texts."""
        return {"tokens": sum(map(len, self.ids)), "bytes": self.n_bytes}

    def outcome(self) -> dict[str, Any]:
        """What it makes of the texts, for others to be compared with: after a turn.

        Of what was trained the tokens themselves, since equals may be taken in another order; else a digest.
        """
        ids = self.encode()
        outcome = {"tokens": sum(map(len, ids)), "whole": not self.kind.lossless or self.decode(ids) == self.texts}
        if self.task == TRAIN:
            tokens = (self.tokenizer.decode_bytes(i) for i in range(self.tokenizer.vocab_size))
            return outcome | {"learned": sorted({token.hex() for token in tokens})}
        digest = sha256(b"".join(array("q", [len(one), *one]).tobytes() for one in ids))
        return outcome | {"digest": digest.hexdigest()}


def made(kind: type[Tokenizer], vocab_size: int | None) -> Tokenizer:
    """A tokenizer as it comes, but for the size of its vocabulary, which is all that has to be learned."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a component is a dataclass
    given = {"vocab_size": vocab_size} if vocab_size is not None and "vocab_size" in names else {}
    return kind(**given, **({"boundary": None} if "boundary" in names else {}))


def read(kind: type[Tokenizer], file: str) -> Tokenizer:
    """The tokenizer with what is in a file: ranks, or what `keep` wrote."""
    if Path(file).suffix == RANKS:
        reader: Any = kind
        ready: Tokenizer = reader(file=file, boundary=None).train([])
        return ready
    return kind.from_dict(json.loads(Path(file).read_text(encoding="utf-8")))


def keep(name: str, texts: Sequence[str], vocab_size: int | None, file: Path) -> None:
    """Have a tokenizer learn, once for all who are then measured with what it knows."""
    tokenizer = made(load(builtin).get("tokenizers", name), vocab_size).train(documents(texts))
    file.write_text(json.dumps(tokenizer.to_dict()), encoding="utf-8", newline="\n")


def documents(paths: Sequence[str]) -> Iterator[str]:
    """Files cut at ends of lines, or the packaged names. Raises DataError for a file with nothing to read."""
    for path in paths or [""]:
        text, start = text_of(path), 0
        while start < len(text):
            end = text.find("\n", start + DOCUMENT) + 1 or len(text)
            yield text[start:end]
            start = end


def text_of(path: str) -> str:
    """A file's text, or the packaged names, each on a line. Raises DataError where there is nothing to read."""
    text = read_text(Path(path), "utf-8") if path else "\n".join(Names(validation=0.0).all_documents())
    if not text:
        raise DataError(f"{path}: it is empty")
    return text
