"""What peers that tokenize want to know of our `bpe`, which is in a pack of its own that may not be installed."""

from importlib import import_module
from typing import Any

from microgpt_core.components import Tokenizer
from microgpt_core.errors import ConfigurationError, DataError


def check_bpe(ours: Tokenizer, peer: str) -> None:
    """Raise ConfigurationError for any other tokenizer."""
    if ours.name != "bpe":
        raise ConfigurationError(f"tokenizer: found {ours.name}, allowed for {peer}: bpe")


def vocabulary_of(ours: Any) -> Any:
    """What it has learned: a `microgpt_tokenizers.bpe.vocabulary.Vocabulary`; None where that is nothing yet."""
    try:
        return ours.vocabulary
    except DataError:
        return None


def part(name: str) -> Any:
    """A module of microgpt-tokenizers, which is there where a `bpe` is."""
    return import_module(f"microgpt_tokenizers.{name}")
