"""Which of the two does the work: the compiled one where it was built, else the Python one. Both give the same."""

import os
from collections.abc import Iterable
from types import ModuleType
from typing import Protocol

from microgpt_core.errors import ConfigurationError
from microgpt_tokenizers.bpe import encoding, training
from microgpt_tokenizers.bpe.encoding import Encoder
from microgpt_tokenizers.bpe.training import Pair, Progress
from microgpt_tokenizers.bpe.vocabulary import Vocabulary

VARIABLE = "MICROGPT_TOKENIZERS"
ALLOWED = ("auto", "native", "python")


class TrainMerges(Protocol):
    """`training.train_merges`, or its twin."""

    def __call__(
        self, texts: Iterable[str], n_merges: int, *, pattern: str, min_frequency: int = 2,
        progress: Progress | None = None,
    ) -> list[Pair]: ...  # fmt: skip


def native() -> ModuleType | None:
    """The compiled module; None where it wasn't built, or MICROGPT_TOKENIZERS=python says to do without."""
    wanted = os.environ.get(VARIABLE, "auto")
    if wanted not in ALLOWED:
        raise ConfigurationError(f"{VARIABLE}: found {wanted!r}, allowed: {', '.join(ALLOWED)}")
    if wanted == "python":
        return None
    try:
        from microgpt_tokenizers.bpe import native  # type: ignore[attr-defined,unused-ignore]
    except ImportError as error:
        if wanted == "native":
            raise ConfigurationError(f"{VARIABLE}=native: {error}; install the pack where a C compiler is") from error
        return None
    return native  # type: ignore[no-any-return,unused-ignore]


def trainer() -> TrainMerges:
    train: TrainMerges = (native() or training).train_merges
    return train


def encoder(vocabulary: Vocabulary) -> Encoder:
    make: type[Encoder] = (native() or encoding).Encoder
    return make(vocabulary.tokens, vocabulary.merges, vocabulary.pattern)
