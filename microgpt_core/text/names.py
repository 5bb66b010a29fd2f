"""The dataset `names`: 5,163 given names that come with the package, so that the first run needs no network.

They are every first name in the frequency tables that the US Census Bureau published from the 1990 census,
public domain; `scripts/make_names.py` makes the file, names.LICENSE.txt beside it has the details.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

from microgpt_core.text.split import SplitDataset


@dataclass(kw_only=True)
class Names(SplitDataset):
    """US given names in lower case, a to z: a document is a name."""

    name: ClassVar[str] = "names"

    def all_documents(self) -> list[str]:
        return files("microgpt_core.text").joinpath("names.txt").read_text(encoding="utf-8").split()
