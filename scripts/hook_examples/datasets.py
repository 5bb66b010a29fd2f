"""Sums, such as 3+4=7."""

from dataclasses import dataclass

from microgpt_core.components import Dataset
from microgpt_core.hookspecs import hookimpl


@dataclass
class Sums(Dataset):
    """Sums of two numbers, each a document; every tenth is held out.

    Fields:
        largest: the largest number that is added
    """

    name = "sums"

    largest: int = 9

    def documents(self, split):
        numbers = range(self.largest + 1)
        every = [f"{a}+{b}={a + b}" for a in numbers for b in numbers]
        yield from (text for i, text in enumerate(every) if (i % 10 == 0) == (split == "validation"))


@hookimpl
def microgpt_datasets():
    return {"sums": Sums}
