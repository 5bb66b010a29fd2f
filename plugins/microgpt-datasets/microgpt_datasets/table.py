"""The dataset `csv`: a table with a heading, of which one column has the documents."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from microgpt_core.errors import ConfigurationError, DataError, nearest
from microgpt_core.text.files import check_encoding
from microgpt_datasets.reading.archives import streams
from microgpt_datasets.reading.decoding import MOST_CHARACTERS, lines
from microgpt_datasets.reading.places import check_paths, find_files
from microgpt_datasets.splitting import ReadInOrder


@dataclass
class Table(ReadInOrder):
    """Tables of comma-separated values, also in .gz, .zst, .zip and .tar: a document is the text of a cell.

    The first line names the columns. A cell in quotes may go over several lines. Cells with nothing but white space are
    skipped.

    Fields:
        path: a file, a folder (its *.csv, compressed or not) or a glob such as data/*.csv, or a list of them
        field: the column with the text
        delimiter: what stands between cells, such as ; or a tab, "\\t"
        encoding: of the files
    """

    name: ClassVar[str] = "csv"

    path: str | list[str]
    field: str = "text"
    delimiter: str = ","
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_paths(self.path)
        check_encoding(self.encoding)
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise ConfigurationError(f"delimiter: found {self.delimiter!r}, allowed: one character, but no quote")

    def all_documents(self) -> Iterator[str]:
        for file in find_files(self.path, self.base, "**/*.csv*"):
            for name, stream in streams(file):
                for text in self.column((f"{line}\n" for line in lines(stream, self.encoding, name)), name):
                    if text.strip():
                        yield text

    def column(self, every: Iterator[str], name: str) -> Iterator[str]:
        """The cells of the column. Raises DataError with the line of what is no table."""
        csv.field_size_limit(MOST_CHARACTERS)  # it is Python's for all tables, and 131,072 to begin with
        rows = csv.reader(every, delimiter=self.delimiter, strict=True)
        try:
            heading = next(rows, [])
            if self.field not in heading:
                near = nearest(self.field, heading)
                known = ", ".join(heading) or "none"
                said = f"there is no column {self.field!r}{near}; there are: {known}. Set `field`, or `delimiter`"
                raise DataError(f"{name}, line 1: {said}")
            at = heading.index(self.field)
            for row in rows:
                if row and len(row) != len(heading):
                    how = f"put a text with {self.delimiter!r} in it in quotes"
                    said = f"{len(row)} cells where the heading has {len(heading)}; {how}"
                    raise DataError(f"{name}, line {rows.line_num}: {said}")
                if row:
                    yield row[at]
        except csv.Error as error:
            raise DataError(f"{name}, line {rows.line_num}: {error}; a quote inside quotes is written twice") from None
