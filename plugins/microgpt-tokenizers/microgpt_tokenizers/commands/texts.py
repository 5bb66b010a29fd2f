"""The text files that a command is given, read in pieces, so that a corpus needn't fit into memory."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from microgpt_core.errors import DataError
from microgpt_core.text.files import TextFiles, check_mark

PIECE = 1 << 22  # characters
UTF_8 = "utf-8"
SIGNED = {UTF_8: "utf-8-sig"}  # which leaves the mark at the beginning out, as utf-16 does
# A line's end between two lines with text right there. Every named pattern cuts there anyway, so that the chunks of the
# pieces are those of the whole.
SAFE_CUT = re.compile(r"(?<=\S)\n(?=\S)")


encoding_option = click.option(
    "--encoding", default=UTF_8, show_default=True, help="Of the files: utf-16, latin-1, cp1252, ..."
)


def pieces(paths: Sequence[str], encoding: str = UTF_8) -> Iterator[str]:
    """The texts of files, folders and globs, as the dataset `text` finds them. Raises DataError, ConfigurationError."""
    for file in TextFiles(list(paths), encoding=encoding).files():
        yield from pieces_of(file, encoding)


def pieces_of(file: Path, encoding: str = UTF_8, size: int = PIECE) -> Iterator[str]:
    """One file's text, about `size` characters at a time, cut where tokens don't notice it."""
    waiting = ""
    try:
        with file.open("rb") as opened:
            check_mark(opened.read(4), encoding, str(file), "--encoding")
        with file.open(encoding=SIGNED.get(encoding.lower(), encoding)) as opened:  # line ends become \n
            while read := opened.read(size):
                waiting += read
                if cut := last_safe_cut(waiting):
                    yield waiting[:cut]
                    waiting = waiting[cut:]
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02X}"
        what = "name its encoding (--encoding latin-1 and cp1252 are frequent), or leave the file out"
        raise DataError(f"{file}: {found} isn't {encoding} text; {what}") from None
    except OSError as error:
        raise DataError(f"{file}: can't be read ({error.strerror or error})") from None
    if waiting:
        yield waiting


def last_safe_cut(text: str) -> int:
    """Where the text may be cut, as far to its end as possible; 0 where it can't be."""
    line_end = len(text)
    while (line_end := text.rfind("\n", 0, line_end)) > 0:
        if SAFE_CUT.match(text, line_end):
            return line_end + 1
    return 0
