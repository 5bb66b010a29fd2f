"""How a model is written to a file, and perhaps read back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from microgpt_core.components.text import Tokenizer


@dataclass
class Format:
    """How a model is written to a file. Subclass it as a dataclass, and give `read` where it can be read back."""

    name: ClassVar[str]
    suffix: ClassVar[str]  # of its files, such as ".json"; "" for a folder

    def write(self, model: Any, tokenizer: Tokenizer, path: Path) -> None:
        """Write a `models.model.Model` and its tokenizer to `path`, in place of what is there, whole or not at all.

        Raises ConfigurationError for a model that the format can't hold; then nothing is written.
        """
        raise NotImplementedError

    def read(self, path: Path, find: Callable[[str, str], Any]) -> tuple[Any, Tokenizer]:
        """The model, allocated and filled, and its tokenizer. `find(kind, name)` gives the classes that it names.

        Raises CheckpointError for a file that isn't what `write` writes.
        """
        raise NotImplementedError

    @property
    def readable(self) -> bool:
        """Whether there is a way back."""
        return type(self).read is not Format.read
