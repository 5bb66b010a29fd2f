"""The dataset `files`: text in files, folders, compressed files and archives, whatever their number and size."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import IO, ClassVar, Literal

from microgpt_core.errors import DataError, UnknownNameError
from microgpt_core.text.files import check_encoding
from microgpt_datasets.reading.archives import is_hidden, streams
from microgpt_datasets.reading.decoding import lines, whole
from microgpt_datasets.reading.places import check_paths, find_files, listed
from microgpt_datasets.splitting import ReadInOrder

DOCUMENTS = ("file", "line", "paragraph")


@dataclass
class Files(ReadInOrder):
    """Text files, also inside .gz, .zst, .zip and .tar; a document is a whole `file`, a `line` or a `paragraph`.

    Files are sorted by their full path; members of an archive come in its order. Hidden files are left alone, and so
    are documents with nothing but white space. Nothing is unpacked to disk.

    Fields:
        path: a file, a folder (searched through and through) or a glob such as code/**/*.py, or a list of them
        document: what a document is; paragraphs have empty lines between them
        encoding: of the files
        pattern: which files of a folder, and which members of an archive are read: **/*.md
    """

    name: ClassVar[str] = "files"
    examples: ClassVar[list[dict[str, str]]] = [{"path": __file__, "document": unit} for unit in DOCUMENTS]

    path: str | list[str]
    document: Literal["file", "line", "paragraph"] = "file"
    encoding: str = "utf-8"
    pattern: str = "**/*"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_paths(self.path)
        check_encoding(self.encoding)
        if self.document not in DOCUMENTS:
            raise UnknownNameError("document", self.document, DOCUMENTS)

    @property
    def separate(self) -> bool:  # type: ignore[override]
        return self.document != "file"

    def all_documents(self) -> Iterator[str]:
        files, found, left_out = find_files(self.path, self.base, self.pattern), False, 0
        for file in files:
            for name, stream in streams(file):
                member = name.removeprefix(str(file)).lstrip("/")
                if member and (is_hidden(member) or not fits(member, self.pattern)):
                    left_out += 1
                    continue
                for text in self.cut(stream, name):
                    if text.strip():
                        found = True
                        yield text
        if not found:
            what = f"no text, only white space in {len(files)} file(s)"
            if left_out:
                what = f"no text; {left_out:,} members of archives are hidden, or aren't of `pattern`: {self.pattern}"
            raise DataError(f"{', '.join(listed(self.path))}: {what}")

    def cut(self, stream: IO[bytes], name: str) -> Iterator[str]:
        """The documents of one text."""
        if self.document == "file":
            yield whole(stream, self.encoding, name)
        elif self.document == "line":
            yield from lines(stream, self.encoding, name)
        else:
            yield from paragraphs(lines(stream, self.encoding, name))


def fits(member: str, pattern: str) -> bool:
    """Whether a member of an archive is one that a pattern means: `**/` stands for any folders, or none."""
    return any(fnmatch(member, each) for each in (pattern.removeprefix("**/"), pattern.replace("**/", "")))


def paragraphs(every: Iterator[str]) -> Iterator[str]:
    """Lines that follow each other, joined; empty ones stand between."""
    begun: list[str] = []
    for line in every:
        if line.strip():
            begun.append(line)
        elif begun:
            yield "\n".join(begun)
            begun = []
    if begun:
        yield "\n".join(begun)
