"""Bytes to text, a piece at a time: an error says in which file, which line and at which byte. Nothing is guessed."""

import codecs
import io
from collections.abc import Iterator
from typing import IO

from microgpt_core.errors import DataError
from microgpt_core.text.files import advice, check_mark

CHUNK = 1 << 20  # bytes
MARK = 4  # bytes, at most, that say in which order the others are
MOST_CHARACTERS = 1 << 29  # of one document; no tokenizer gets through more
BYTE_ORDER_MARK = "\ufeff"


def pieces(stream: IO[bytes], encoding: str, name: str) -> Iterator[str]:
    """The text of a stream, line ends as \\n, without a byte order mark. Raises DataError at a byte that is no text."""
    decoder, newlines = codecs.getincrementaldecoder(encoding)(), io.IncrementalNewlineDecoder(None, translate=True)
    start, line, first = 0, 1, True  # how many bytes were read, and which line they end in
    while True:
        read, pending = stream.read(CHUNK if start else max(CHUNK, MARK)), len(decoder.getstate()[0])
        if not start:
            check_mark(read, encoding, name)
        try:
            text = decoder.decode(read, final=not read)
        except UnicodeDecodeError as error:
            line, byte = line + error.object[: error.start].count(b"\n"), start - pending + error.start
            found = f"0x{error.object[error.start]:02X} isn't {encoding} text"
            raise DataError(f"{name}, line {line}, byte {byte}: {found}; {advice(error.object)}") from None
        start += len(read)
        line += text.count("\n")
        if first and text:
            text, first = text.removeprefix(BYTE_ORDER_MARK), False
        if translated := newlines.decode(text, final=not read):
            yield translated
        if not read:
            return


def whole(stream: IO[bytes], encoding: str, name: str) -> str:
    """The text of a stream. Raises DataError where it is more than one document can be."""
    found, length = [], 0
    for piece in pieces(stream, encoding, name):
        found.append(piece)
        length += len(piece)
        if length > MOST_CHARACTERS:
            raise too_long(name)
    return "".join(found)


def lines(stream: IO[bytes], encoding: str, name: str) -> Iterator[str]:
    """The lines of a stream without their ends."""
    begun: list[str] = []  # of a line that may be longer than a piece
    length = 0
    for piece in pieces(stream, encoding, name):
        *ended, rest = piece.split("\n")
        if ended:
            yield "".join([*begun, ended[0]])
            yield from ended[1:]
            begun, length = [], 0
        begun.append(rest)
        length += len(rest)
        if length > MOST_CHARACTERS:
            raise too_long(name)
    if last := "".join(begun):
        yield last


def too_long(name: str) -> DataError:
    return DataError(f"{name}: a document of more than {MOST_CHARACTERS:,} characters; cut it, or set document: line")
