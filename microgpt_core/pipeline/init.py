"""The first pipeline for somebody's own text: the few lines that differ from the defaults, with the reasons.

It looks at the text, and aims at a first result in two or three minutes of pure Python.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from microgpt_core.errors import DataError
from microgpt_core.plugins.hints import quoted as as_argument
from microgpt_core.text.files import TextFiles
from microgpt_core.text.split import split_documents

FEWEST = 200  # characters: of fewer, nothing is left to learn from once some are held out
MANY = 50_000  # characters that a larger model makes something of
SHORT_LINE = 32  # characters of nearly every line, where lines are names, words or the like
FEWEST_LINES = 50
PASSES = 10  # over the text
HELD_OUT = 20_000  # characters at most: judging takes time
BLOCKS = (8, 16, 32, 64)
BATCH_SIZE = 4
UTF_8 = "utf-8"
NAMES = """\
# Learns given names and makes up new ones.   microgpt run {file}
# For a text of your own: microgpt init --data FOLDER
dataset: names
model: {{n_layer: 1, n_head: 4, n_embd: 16, block_size: 16}}
train: {{max_steps: 500, batch_size: 4, batching: packed}}
generate: {{num_samples: 20}}
"""
HEAD = """\
# Learns from {path} and writes more like it.   microgpt run {file}
# Whatever isn't here has a default: microgpt show model gpt. How long it takes: microgpt run {file} --dry-run

# {n_documents:,} {what} of {n_characters:,} characters, {n_different} different ones. {held_out}.
"""
LONG_TEXT = (
    HEAD
    + """\
dataset: {{use: text, path: {path}{encoding}, validation: {validation}}}
# It sees {block_size} characters at once. {size}
model: {{n_layer: {n_layer}, n_head: 4, n_embd: {n_embd}, block_size: {block_size}}}
# About {passes} over the text. More steps make better words: try ten times as many.
train: {{max_steps: {max_steps}, batch_size: {batch_size}}}
generate: {{num_samples: 3, max_new_tokens: 200}}
"""
)
LINES = (
    HEAD
    + """\
dataset: {{use: text, path: {path}{encoding}, document: line, validation: {validation}}}
# It sees {block_size} characters at once: nearly every line is shorter. {size}
model: {{n_layer: {n_layer}, n_head: 4, n_embd: {n_embd}, block_size: {block_size}}}
# About {passes} over the text, whole lines side by side. More steps make better lines: try ten times as many.
train: {{max_steps: {max_steps}, batch_size: {batch_size}, batching: packed}}
generate: {{num_samples: 20}}
"""
)
SMALL = {"n_layer": 1, "n_embd": 16, "size": "A small text needs a small model."}
LARGER = {"n_layer": 2, "n_embd": 32, "size": "There is text for more than the smallest size."}


@dataclass
class Text:
    """What there is to learn from."""

    documents: list[str]
    by_line: bool  # whether each line is a document of its own

    @property
    def n_characters(self) -> int:
        return sum(map(len, self.documents))

    @property
    def share(self) -> float:
        """How much to hold out."""
        return next((share for share in (0.1, 0.01) if share * self.n_characters <= HELD_OUT), 0.001)

    @property
    def held_out(self) -> int:
        """The characters that are then really held out: of whole documents, more or fewer than the share."""
        return sum(map(len, split_documents(self.documents, self.share, seed=0)[1]))

    @property
    def block_size(self) -> int:
        """Nearly every line, where lines are documents; otherwise as much as the held-out text has room for."""
        if self.by_line:
            most = len(longest_of_most(self.documents)) + 1  # with the token that ends it
            return next((size for size in BLOCKS if size >= most), BLOCKS[-1])
        return max([size for size in BLOCKS[:-1] if size <= self.n_characters // 50], default=BLOCKS[0])


def starter(data: str | None, file: str, encoding: str = UTF_8) -> str:
    """The text of a pipeline for the text files at `data` (a file, a folder, a glob), or for names without any.

    `file` is what to call it, `encoding` that of the text. Raises DataError where there is no text, or too little.
    """
    if data is None:
        return NAMES.format(file=as_argument(file))
    text = look_at(data, encoding)
    larger = text.n_characters >= MANY
    per_step = BATCH_SIZE * text.block_size
    wanted = round(PASSES * text.n_characters / per_step / 100) * 100
    max_steps = min(500 if larger else 1000, max(100, wanted))
    return (LINES if text.by_line else LONG_TEXT).format(
        file=as_argument(file),
        path=quoted(data),
        encoding="" if encoding == UTF_8 else f", encoding: {quoted(encoding)}",
        n_documents=len(text.documents),
        what=("line" if text.by_line else "document") + "s" * (len(text.documents) > 1),
        n_characters=text.n_characters,
        n_different=len(set().union(*text.documents)),
        validation=text.share,
        held_out=held_out(text),
        block_size=text.block_size,
        max_steps=max_steps,
        batch_size=BATCH_SIZE,
        passes=passes(max_steps * per_step / text.n_characters),
        **LARGER if larger else SMALL,
    )


def held_out(text: Text) -> str:
    """How much is kept to judge by. Documents that are held out whole may be far more than the share, or less."""
    share = text.held_out / text.n_characters
    near = abs(share - text.share) < text.share / 2
    said = f"{text.share if near else share:.1%}".replace(".0%", "%")
    return f"{said} is held out, to judge by" + ("" if near else ": whole documents")


def passes(number: float) -> str:
    """How often the text is read, in words."""
    if number >= 1.5:
        return f"{number:.0f} passes"
    return "one pass" if number >= 0.75 else f"{number:.0%} of a pass"


def look_at(data: str, encoding: str) -> Text:
    """The text itself. Raises DataError where there is too little."""
    lines = TextFiles(data, document="line", encoding=encoding).all_documents()
    files = TextFiles(data, encoding=encoding).all_documents()
    n_words = sum(len(line.split()) for line in lines)
    by_line = len(lines) >= FEWEST_LINES and len(longest_of_most(lines)) < SHORT_LINE and n_words <= 3 * len(lines)
    text = Text(lines if by_line else files, by_line)
    if text.n_characters < FEWEST:
        raise DataError(
            f"{data}: {text.n_characters} characters are too few to learn from; bring {FEWEST}, or many more"
        )
    if not text.held_out:
        what = "lines" if by_line else "files"
        raise DataError(f"{data}: all {what} are the same, so none is left to judge by; bring some that differ")
    return text


def longest_of_most(lines: list[str]) -> str:
    """The longest line, but for the longest twentieth of them."""
    return sorted(lines, key=len)[len(lines) * 19 // 20 - 1]


def default_name(data: str | None) -> str:
    """What to call the pipeline for a text."""
    return re.sub(r"[^\w.-]+", "-", Path(data or "").stem).strip("-.") or "mine"


def quoted(path: str) -> str:
    """A path as YAML takes it."""
    path = Path(path).as_posix()
    return path if re.fullmatch(r"[A-Za-z_./][\w./-]*", path) else json.dumps(path, ensure_ascii=False)
