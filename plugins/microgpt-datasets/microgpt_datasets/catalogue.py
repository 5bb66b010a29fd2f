"""Well-known texts of the catalogue: where each comes from, what it weighs, its SHA-256, and how it is read.

`microgpt data get NAME` fetches one into the cache, `microgpt data add NAME FILE` takes a file that you bring. Reading
never fetches.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, ClassVar

from microgpt_core.components.text import Split
from microgpt_core.errors import DataError
from microgpt_core.text.cache import Entry
from microgpt_core.text.cached import CatalogueText
from microgpt_datasets.reading.archives import streams
from microgpt_datasets.reading.decoding import lines, whole
from microgpt_datasets.splitting import ReadInOrder

END_OF_STORY = "<|endoftext|>"


@dataclass(kw_only=True)
class Zipped(CatalogueText):
    """A text that lies in a zip."""

    member: ClassVar[str]
    separate: ClassVar[bool] = False

    def text(self) -> str:
        return self.read(self.member)

    def read(self, member: str) -> str:
        """The text of a member. Raises DataError where there is no such one."""
        for name, stream in streams(self.file()):
            if name.endswith(f"/{member}"):
                return whole(stream, "utf-8", name)
        raise DataError(f"{self.file()}: there is no {member} in it")


@dataclass(kw_only=True)
class Enwik8(Zipped):
    """The first 100 MB of a dump of the English Wikipedia in 2006, with its markup: one long text."""

    name: ClassVar[str] = "enwik8"
    member: ClassVar[str] = "enwik8"
    entry: ClassVar[Entry | None] = Entry(
        name="enwik8",
        about="the first 100 MB of the English Wikipedia of March 2006, with markup",
        source="Wikipedia, by Matt Mahoney",
        licence="GFDL",
        url="https://mattmahoney.net/dc/enwik8.zip",
        size=36_445_475,
        sha256="547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
        suffix=".zip",
    )


@dataclass(kw_only=True)
class Text8(Zipped):
    """100 MB of cleaned Wikipedia, a to z and spaces: one long text."""

    name: ClassVar[str] = "text8"
    member: ClassVar[str] = "text8"
    entry: ClassVar[Entry | None] = Entry(
        name="text8",
        about="100 MB of the English Wikipedia, only a to z and spaces",
        source="Wikipedia, by Matt Mahoney",
        licence="GFDL",
        url="https://mattmahoney.net/dc/text8.zip",
        size=31_344_016,
        sha256="a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
        suffix=".zip",
    )


@dataclass(kw_only=True)
class WikiText2(Zipped):
    """Good and featured articles of Wikipedia, two million words: one long text, with the validation of its authors.

    `validation` and `split_seed` are left aside, unless `validation` is 0.
    """

    name: ClassVar[str] = "wikitext-2"
    member: ClassVar[str] = "wiki.train.raw"
    entry: ClassVar[Entry | None] = Entry(
        name="wikitext-2",
        about="good articles of the English Wikipedia, raw: 2 million words, split by its authors",
        source="Wikipedia, by Stephen Merity and others, Salesforce Research",
        licence="CC BY-SA 3.0, GFDL",
        url="https://huggingface.co/datasets/ggml-org/ci/resolve/927b3642933080f1b0e811e2f916e14c292992f9/wikitext-2-raw-v1.zip",
        size=4_721_645,
        sha256="ef7edb566e3e2b2d31b29c1fdb0c89a4cc683597484c3dc2517919c615435a11",
        suffix=".zip",
    )

    def documents(self, split: Split) -> Iterator[str]:
        if split == "validation" and not self.validation:
            return iter(())
        return iter([self.read("wiki.valid.raw" if split == "validation" else self.member)])


@dataclass(kw_only=True)
class TinyStories(ReadInOrder, CatalogueText):
    """Two million short stories in words that a small child knows, 1.9 GB: a document is a story.

    They are read one after the other. To train on all of them, `microgpt data prepare` them once, or `stream` them.
    """

    name: ClassVar[str] = "tinystories"
    entry: ClassVar[Entry | None] = Entry(
        name="tinystories",
        about="two million short stories in simple words, written by GPT-3.5 and GPT-4",
        source="Ronen Eldan and Yuanzhi Li, Microsoft Research",
        licence="CDLA-Sharing-1.0",
        url="https://huggingface.co/datasets/roneneldan/TinyStories/resolve/f54c09fd23315a6f9c86f9dc80f725de7d8f9c64/TinyStories-train.txt",
        size=1_924_281_556,
        sha256="c5cf5e22ff13614e830afbe61a99fbcbe8bcb7dd72252b989fa1117a368d401f",
    )

    def all_documents(self) -> Iterator[str]:  # type: ignore[override]
        with open(self.verified, "rb") as file:
            yield from stories(file, str(self.verified))

    @cached_property
    def verified(self) -> Path:
        """The file, whose checksum takes seconds: it is looked at once, however often the stories are read."""
        return self.file()


def stories(file: IO[bytes], name: str) -> Iterator[str]:
    """The texts between the lines that end a story."""
    begun: list[str] = []
    for line in lines(file, "utf-8", name):
        if line.strip() != END_OF_STORY:
            begun.append(line)
        elif story := "\n".join(begun).strip():
            yield story
            begun = []
    if story := "\n".join(begun).strip():
        yield story
