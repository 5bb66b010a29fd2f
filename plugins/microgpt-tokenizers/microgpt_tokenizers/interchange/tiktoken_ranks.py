"""`.tiktoken`: a token in base64 and its id on each line. What is joined first is what has the lower id.

The file says neither how texts are cut nor which tokens are special; of those that OpenAI published, the name does.
"""

from base64 import b64decode, b64encode
from pathlib import Path

from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.storage.atomic import atomic_write
from microgpt_tokenizers.bpe.ranks import by_ids_alone
from microgpt_tokenizers.bpe.vocabulary import Vocabulary

END = "<|endoftext|>"
FILL_IN = {"<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}
# A file's name -> its pattern and special tokens.
PUBLISHED: dict[str, tuple[str, dict[str, int]]] = {
    "r50k_base": ("gpt2", {END: 50256}),
    "p50k_base": ("gpt2", {END: 50256}),
    "cl100k_base": ("cl100k", {END: 100257, **FILL_IN, "<|endofprompt|>": 100276}),
    "o200k_base": ("o200k", {END: 199999, "<|endofprompt|>": 200018}),
}


def read(path: Path, pattern: str | None = None) -> Vocabulary:
    """The vocabulary in a file. `pattern` has to be given where the file's name isn't one of the published."""
    own, special = PUBLISHED.get(path.stem, (None, {}))
    if (cut := pattern or own) is None:
        raise ConfigurationError(
            f"{path}: a .tiktoken file doesn't say where texts are cut; set the pattern: gpt2, cl100k, o200k or a "
            f"regular expression (known by name: {', '.join(PUBLISHED)})"
        )
    try:
        return Vocabulary(read_ranks(path), None, cut, dict(special)).checked()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def read_ranks(path: Path) -> dict[bytes, int]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"can't be read ({error.strerror or error})") from None
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(filter(None, lines), start=1):
        try:
            token, rank = line.split()
            ranks[b64decode(token, validate=True)] = int(rank)
        except ValueError:
            raise DataError(f"line {number}: found {line!r:.60}, expected a token in base64 and its id") from None
    return ranks


def write(vocabulary: Vocabulary, path: Path) -> None:
    """Write the ranks. Raises DataError where the merges don't follow the order of the ids.

    Special tokens, pattern and Unicode form can't be said in this file: whoever reads it has to know.
    """
    if not by_ids_alone(vocabulary.tokens, vocabulary.merges):
        raise DataError(f"{path}: the merges of this vocabulary aren't in the order of its ids; write a tokenizer.json")
    by_id = sorted(vocabulary.tokens.items(), key=lambda entry: entry[1])
    atomic_write(path, b"".join(b"%s %d\n" % (b64encode(token), i) for token, i in by_id))
