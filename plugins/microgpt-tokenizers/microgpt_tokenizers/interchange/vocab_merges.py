"""`vocab.json` and `merges.txt`, as GPT-2 was published: ids of tokens, and merges one a line."""

import json
from pathlib import Path

from microgpt_core.errors import DataError
from microgpt_core.storage.atomic import atomic_write
from microgpt_tokenizers.bpe.ranks import one_merge_each
from microgpt_tokenizers.bpe.vocabulary import Merge, Vocabulary
from microgpt_tokenizers.interchange.alphabet import to_bytes, to_text
from microgpt_tokenizers.interchange.json_file import read_object

PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))  # the second are OpenAI's names
NAMES = [name for names in PAIRS for name in names]
HEADER = "#version: 0.2"


def read(folder: Path, pattern: str = "gpt2") -> Vocabulary:
    """The vocabulary in a folder. A token that no merge makes, and that is no byte, is special. Raises DataError."""
    vocab, merges = find(folder)
    ids = read_object(vocab)
    try:
        order = read_merges(merges)
        made = {to_text(left + right) for left, right in order} | {to_text(bytes([i])) for i in range(256)}
        tokens = {to_bytes(text): i for text, i in ids.items() if text in made}
        special = {text: i for text, i in ids.items() if text not in made}
        return Vocabulary(tokens, order, pattern, special).checked()
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None


def holds_vocabulary(folder: Path) -> bool:
    return any(all((folder / name).is_file() for name in names) for names in PAIRS)


def find(folder: Path) -> tuple[Path, Path]:
    for names in PAIRS:
        vocab, merges = (folder / name for name in names)
        if vocab.is_file() and merges.is_file():
            return vocab, merges
    wanted = ", or ".join(" and ".join(names) for names in PAIRS)
    raise DataError(f"{folder}: it has no vocabulary in it; expected {wanted}")


def read_merges(path: Path) -> list[Merge]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: tokens may hold what ends a line to it
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: can't be read ({error})") from None
    merges: list[Merge] = []
    for number, line in enumerate(lines, start=1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        left, _, right = line.rstrip("\r").partition(" ")
        if not left or not right or " " in right:
            raise DataError(f"{path.name}, line {number}: found {line!r:.60}, expected two tokens with a space between")
        merges.append((to_bytes(left), to_bytes(right)))
    return merges


def write(vocabulary: Vocabulary, folder: Path) -> None:
    """Write both files. Raises DataError where the order of ids can't be said in merges.

    How texts are cut and normalised can't be said in these files: whoever reads them has to know.
    """
    merges = one_merge_each(vocabulary.tokens) if vocabulary.merges is None else vocabulary.merges
    ids = {to_text(token): i for token, i in vocabulary.tokens.items()} | vocabulary.special
    by_id = dict(sorted(ids.items(), key=lambda entry: entry[1]))
    lines = [HEADER, *(f"{to_text(left)} {to_text(right)}" for left, right in merges)]
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / PAIRS[0][0], json.dumps(by_id, ensure_ascii=False).encode("utf-8"))
    atomic_write(folder / PAIRS[0][1], ("\n".join(lines) + "\n").encode("utf-8"))
