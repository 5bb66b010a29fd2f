"""The datasets of the catalogue, read from the cache. Reading never fetches: that is `microgpt data get`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from microgpt_core.errors import DataError
from microgpt_core.text.cache import Entry, cached, entry
from microgpt_core.text.split import SplitDataset


@dataclass(kw_only=True)
class CatalogueText(SplitDataset):
    """A text that the catalogue lists under the dataset's name; one document, unless a subclass divides it.

    A pack's is described by its class: `entry`, from where `microgpt data list`, `get` and `add` know it.
    """

    entry: ClassVar[Entry | None] = None

    def text(self) -> str:
        """The whole file. Raises DataError where the cache hasn't got it, or got it damaged."""
        return self.file().read_text(encoding="utf-8")

    def file(self) -> Path:
        """Where the cache has it, with the right checksum. Raises DataError."""
        described = entry(self.entry or self.name)
        if file := cached(described, verify=True):
            return file
        path = described.path
        found = "is damaged in" if path.exists() else "isn't in"
        raise DataError(
            f"{self.name} {found} the cache ({path}); fetch it with: microgpt data get {self.name}, "
            f"or bring the file and run: microgpt data add {self.name} FILE"
        )

    def all_documents(self) -> list[str]:
        return [self.text()]


@dataclass(kw_only=True)
class SsaNames(CatalogueText):
    """32,033 US given names of the Social Security Administration: a document is a name."""

    name: ClassVar[str] = "ssa-names"

    def all_documents(self) -> list[str]:
        return self.text().split()


@dataclass(kw_only=True)
class TinyShakespeare(CatalogueText):
    """A megabyte of Shakespeare's plays: one long text, whose end is the validation."""

    name: ClassVar[str] = "tinyshakespeare"
    separate: ClassVar[bool] = False
