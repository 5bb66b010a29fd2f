"""Which format a vocabulary's file has, by its name, and reading and writing it in that."""

from dataclasses import replace
from pathlib import Path

from microgpt_core.errors import ConfigurationError, DataError
from microgpt_tokenizers.bpe.vocabulary import Vocabulary
from microgpt_tokenizers.interchange import tiktoken_ranks, tokenizer_json, vocab_merges

WRITERS = {".json": tokenizer_json.write, ".tiktoken": tiktoken_ranks.write, "": vocab_merges.write}
ALLOWED = "a .json file, a .tiktoken file, or a folder for vocab.json and merges.txt"


def read_vocabulary(path: Path, pattern: str | None = None) -> Vocabulary:
    """The vocabulary in a file or a folder; `pattern`, where it is given, instead of the file's own.

    A folder with a `tokenizer.json` is read from that. Raises DataError, or ConfigurationError for a pattern that is
    missing.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder; expected {ALLOWED}")
    if path.is_dir() and (path / "tokenizer.json").is_file():
        path = path / "tokenizer.json"
    elif path.name in vocab_merges.NAMES:
        path = path.parent
    if path.suffix == ".tiktoken":
        return tiktoken_ranks.read(path, pattern)
    found = vocab_merges.read(path) if path.is_dir() else tokenizer_json.read(path)
    return replace(found, pattern=pattern) if pattern else found


def write_vocabulary(vocabulary: Vocabulary, path: Path) -> None:
    """Write the vocabulary in the format that the path's name stands for. Raises DataError where it can't say it."""
    check_name(path)
    WRITERS[path.suffix](vocabulary, path)


def check_name(path: Path) -> None:
    """Raise ConfigurationError where no format is named like this."""
    if path.suffix not in WRITERS:
        raise ConfigurationError(f"{path}: no format ends like this; expected {ALLOWED}")
