"""The dataset `text`: your own text files, from paths, folders and globs, unaltered but for line ends."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, lookup
from collections import Counter
from dataclasses import dataclass
from glob import glob
from itertools import islice
from os.path import expanduser  # unlike Path's, it leaves a user that there isn't
from pathlib import Path
from typing import ClassVar, Literal, get_args

from microgpt_core.errors import ConfigurationError, DataError, UnknownNameError, nearest
from microgpt_core.text.split import SplitDataset

Document = Literal["file", "line"]
MARKS = {"utf-16": (BOM_UTF16_LE, BOM_UTF16_BE), "utf-32": (BOM_UTF32_LE, BOM_UTF32_BE)}
NEW_LINE = b"\n"
LOOKED_AT = 10_000  # files of a folder without text, to say what it has instead


@dataclass
class TextFiles(SplitDataset):
    """Text files; a document is a whole `file`, or a `line`. Those with nothing but white space are skipped.

    `path` is one or several of: a file, a folder (searched for *.txt, also in its folders), a glob such as
    `data/**/*.md`. Files are sorted by their full path, each read once. Relative paths start from `base`,
    else from the current folder. A folder's hidden files are left alone.

    Fields:
        path: a file, a folder or a glob such as data/**/*.md, or a list of them
        document: what a document is: a whole file (then the model reads on over its end), or a line
        encoding: of the files
    """

    name: ClassVar[str] = "text"

    path: str | list[str]
    document: Document = "file"
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.paths or not all(self.paths):
            raise ConfigurationError("path: it is empty; name a file, a folder or a glob such as data/*.txt")
        if self.document not in get_args(Document):
            raise UnknownNameError("document", self.document, get_args(Document))
        check_encoding(self.encoding)

    @property
    def separate(self) -> bool:  # type: ignore[override]
        return self.document == "line"

    @property
    def paths(self) -> list[str]:
        return self.path if isinstance(self.path, list) else [self.path]

    def all_documents(self) -> list[str]:
        texts = [read_text(file, self.encoding) for file in self.files()]
        pieces = texts if self.document == "file" else [line for text in texts for line in text.split("\n")]
        documents = [piece for piece in pieces if piece.strip()]
        if not documents:
            raise DataError(f"{', '.join(map(str, self.paths))}: no text, only white space in {len(texts)} file(s)")
        return documents

    def files(self) -> list[Path]:
        """The files that `path` names, in the order in which they are read. Raises DataError where there are none."""
        found = {file.resolve() for path in self.paths for file in self._matching(path)}
        return sorted(found, key=Path.as_posix)

    def _matching(self, path: str) -> list[Path]:
        start = self.base or Path()
        place = start / expanduser(path)
        if place.is_file():
            return [place]
        root, pattern = (place, "**/*.txt") if place.is_dir() else (start, expanduser(path))
        matches = [root / match for match in glob(pattern, root_dir=root, recursive=True)]
        files = [match for match in matches if match.is_file()]
        if not files:
            what = f"is no file, no folder and no glob that matches a file{near(place)}"
            if place.is_dir():
                what = f"holds no *.txt file{instead(place, path)}"
            raise DataError(f"{path}: {what} (looked in {root.resolve()})")
        return files


def near(place: Path) -> str:
    """A suggestion: what lies where `place` doesn't, and is called much like it."""
    try:
        names = {each.name for each in islice(place.parent.iterdir(), LOOKED_AT)}
    except OSError:
        return ""
    return "" if place.name in names else nearest(place.name, sorted(names))


def check_encoding(encoding: str) -> None:
    """Raise ConfigurationError for an encoding that Python hasn't got."""
    try:
        " ".encode(encoding)
    except (LookupError, ValueError) as error:
        raise ConfigurationError(f"encoding: {error}; try utf-8, utf-16, latin-1 or cp1252") from None


def instead(folder: Path, named: str) -> str:
    """What most of the folder's files are, and the glob that names them."""
    files = (file for file in islice(folder.rglob("*"), LOOKED_AT) if file.is_file() and file.name[0] != ".")
    suffixes = Counter(file.suffix for file in files if file.suffix)
    for suffix, n in suffixes.most_common(1):
        return f", but {n} *{suffix}; if they are text, name them by a glob: {named.rstrip('/')}/**/*{suffix}"
    return ""


def read_text(file: Path, encoding: str) -> str:
    """A file's text, with line ends as \\n and no byte order mark. Raises DataError with the place of a bad byte."""
    try:
        data = file.read_bytes()
        check_mark(data, encoding, str(file))
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        data, at = error.object, error.start
        found = f"byte 0x{data[at]:02X} at offset {at}, line {data.count(NEW_LINE, 0, at) + 1}"
        raise DataError(f"{file}: {found} isn't {encoding} text; {advice(data)}") from None
    except OSError as error:
        raise DataError(f"{file}: can't be read ({error.strerror or error})") from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def check_mark(data: bytes, encoding: str, name: str, setting: str = "`encoding`") -> None:
    """Raise DataError where a file, which begins with these bytes, doesn't say in which order its bytes are."""
    form = lookup(encoding).name
    if data and form in MARKS and not data.startswith(MARKS[form]):
        missing = f"it doesn't begin with the mark that says in which order the bytes of {form} are"
        raise DataError(f"{name}: {missing}; set {setting} to {form}-le or -be, or to what it is")


def advice(data: bytes) -> str:
    """What to do about bytes that aren't the text that they were taken for."""
    if data.startswith(MARKS["utf-16"]):
        return "it begins as utf-16 does: set `encoding: utf-16`"
    if b"\0" in data:
        return "it holds zeros, as no text does: leave the file out"
    return "set `encoding` (latin-1 and cp1252 are frequent), or leave the file out"
