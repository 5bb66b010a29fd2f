"""The dataset `stream`: another dataset whose documents are drawn in order from a buffer, never held all at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from microgpt_core.components import Dataset
from microgpt_core.components.text import Split
from microgpt_core.errors import require
from microgpt_core.text.names import Names


@dataclass(kw_only=True)
class Stream(Dataset):
    """Documents of another dataset, as they are read: memory holds the buffer, and the validation split.

    Each epoch reads them again, in another order: of those in the buffer one is drawn, and the next one read takes its
    place. A run that is resumed reads up to where it was. Any Python iterator can be streamed: write a `Dataset` whose
    `documents` yields, or give it a `buffer` of its own.

    Fields:
        dataset: which, such as {use: jsonl, path: large.jsonl.zst}
        buffer: documents to shuffle among; 1: in the order of the source
    """

    name: ClassVar[str] = "stream"
    examples: ClassVar[list[dict[str, object]]] = [{"dataset": Names(), "buffer": 10}]

    dataset: Dataset
    buffer: int = 10_000  # type: ignore[misc]

    def __post_init__(self) -> None:
        require(self.buffer >= 1, "buffer", self.buffer, "1 or more")

    @property
    def separate(self) -> bool:  # type: ignore[override]
        return self.dataset.separate

    def documents(self, split: Split) -> Iterator[str]:
        return self.dataset.documents(split)
