"""Tokenizing: what there is to learn of a text, the text as numbers, and the numbers as text again."""

from array import array
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


def tokenizers() -> list[str]:
    """Those that are installed."""
    return load(builtin).names("tokenizers")


def tasks() -> list[str]:
    """What can be measured: each tokenizer by its name, and what it does."""
    return [f"{name} {task}" for name in tokenizers() for task in TASKS]


class Tokenize(Work):
    """What the worker runs: a turn goes through the whole text."""

    pieces = 32

    def __init__(self, who: Candidate, model: str, text: str = "") -> None:
        """`model` is one of `tasks()`, `text` the path of a file."""
        name, self.task = model.split(" ")
        self.own, self.peer = load(builtin).get("tokenizers", name), find_peer(who.use) if who.peer else None
        self.text = text_of(text)
        self.tokenizer = self.new(trained=self.task != TRAIN)
        self.ids = self.tokenizer.encode(self.text) if self.task != TRAIN else []

    def new(self, trained: bool) -> Tokenizer:
        """The candidate's tokenizer; a peer has what ours has learnt."""
        ours: Tokenizer = self.own().train([self.text]) if trained else self.own()
        return self.peer.tokenizer(ours) if self.peer else ours

    def run(self, n: int) -> None:
        for _ in range(n):
            if self.task == TRAIN:
                self.tokenizer = self.new(trained=False).train([self.text])
            elif self.task == ENCODE:
                self.tokenizer.encode(self.text)
            else:
                self.tokenizer.decode(self.ids)

    def facts(self) -> dict[str, Any]:
        """The ids of a turn, and the bytes of its text."""
        return {"tokens": len(self.ids), "bytes": len(self.text.encode())}

    def outcome(self) -> dict[str, Any]:
        """A digest of what it makes of the text and back, for others to be compared with. Call it after a turn."""
        ids = self.tokenizer.encode(self.text)
        return {"digest": sha256(array("q", ids).tobytes() + self.tokenizer.decode(ids).encode()).hexdigest()}


def text_of(path: str) -> str:
    """A file's text, or the packaged names, each on a line. Raises DataError where there is nothing to read."""
    text = read_text(Path(path), "utf-8") if path else "\n".join(Names(validation=0.0).all_documents())
    if not text:
        raise DataError(f"{path}: it is empty")
    return text
