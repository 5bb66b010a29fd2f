"""The dataset `mix`: several datasets, interleaved so that their shares hold all along, not just at the end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import ClassVar, Literal

from microgpt_core.components import Dataset
from microgpt_core.components.text import Split
from microgpt_core.errors import DataError, require
from microgpt_core.text.names import Names
from microgpt_datasets.synthetic import Synthetic


@dataclass
class Mix(Dataset):
    """Documents of several datasets, in the proportion of their weights.

    The next document is always that of the dataset which is furthest behind its share, so that there is no chance in it
    and any stretch of the mix has the same proportions. Each split is mixed by itself.

    Fields:
        datasets: which, each as `dataset:` would have it
        weights: how much of each; without them all the same
        unit: what the weights are shares of: documents, or characters, which are nearer to tokens
        until: first: the mix ends where one of them has no more; all: those that end begin again, until each was read
    """

    name: ClassVar[str] = "mix"
    examples: ClassVar[list[dict[str, object]]] = [{"datasets": [Names(), Synthetic(n=100)], "weights": [2, 1]}]

    datasets: list[Dataset]
    weights: list[float] = field(default_factory=list)
    unit: Literal["documents", "characters"] = "documents"
    until: Literal["first", "all"] = "first"

    def __post_init__(self) -> None:
        require(bool(self.datasets), "datasets", "none", "one or more")
        self.weights = self.weights or [1.0] * len(self.datasets)
        n, m = len(self.weights), len(self.datasets)
        require(n == m, "weights", f"{n} of them", f"{m}, one for each of the datasets")
        right = all(isfinite(weight) and weight > 0 for weight in self.weights)
        require(right, "weights", self.weights, "numbers above 0; leave a dataset out instead of giving it 0")

    @property
    def separate(self) -> bool:  # type: ignore[override]
        return all(dataset.separate for dataset in self.datasets)

    def documents(self, split: Split) -> Iterator[str]:
        sources = [dataset.documents(split) for dataset in self.datasets]
        given, ended = [0.0] * len(sources), set[int]()
        while True:
            i = min(range(len(sources)), key=lambda i: given[i] / self.weights[i])
            text = next(sources[i], None)
            if text is None:
                ended.add(i)
                if self.until == "first" or len(ended) == len(sources):
                    return
                sources[i] = self.datasets[i].documents(split)
                text = next(sources[i], None)
                if text is None:
                    if split == "validation":  # nothing was held out of this one
                        return
                    raise DataError(f"datasets[{i}]: {self.datasets[i].name!r} has no documents to train on")
            yield text
            given[i] += 1 if self.unit == "documents" else max(1, len(text))
