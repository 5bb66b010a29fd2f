"""`microgpt data prepare`: the text of a pipeline as shards, made once and found again by what they are made of."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.storage.atomic import atomic_write
from microgpt_core.storage.lock import LOCK, locked
from microgpt_core.text.cache import cache_folder
from microgpt_core.text.split import SPLITS
from microgpt_datasets.preparing.encoding import Piece, encoded
from microgpt_datasets.preparing.writing import Writer
from microgpt_datasets.shards import FORMAT, INDEX, read_index, verify

SHARD_TOKENS = 1 << 25  # 64 MB of two bytes each: what is lost when it is stopped is seconds of work
TOKENIZER = "tokenizer.json"
Progress = Callable[[str, int, int], None]  # split, documents so far, documents in all


@dataclass
class Prepared:
    """A folder of shards."""

    folder: Path
    index: dict[str, Any]
    was_there: bool  # it had been made before, of the same text


def prepare(
    run: Run,
    output: Path | None = None,
    *,
    processes: int = 1,
    shard_tokens: int = SHARD_TOKENS,
    progress: Progress = lambda split, done, total: None,
) -> Prepared:
    """The text of a run, after its transforms, as shards; in `output`, else in the cache under what they are made of.

    What is there already, of the same text, isn't made again; what was stopped is gone on with after its last shard.
    Raises ConfigurationError for an `output` that holds something else, DataError for text that can't be encoded.
    """
    if run.corpus.tokens:
        raise ConfigurationError(
            f"dataset {run.pipeline.dataset.name!r} is numbers already; there is nothing to prepare"
        )
    run.corpus.streamed = SPLITS
    state = json.dumps(run.tokenizer.to_dict(), sort_keys=True)
    key = sha256(f"{FORMAT} {run.data_digest} {shard_tokens} {state}".encode("utf-8", "surrogatepass")).hexdigest()
    folder = output or cache_folder() / "shards" / key[:16]
    check_replaceable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if (folder / INDEX).is_file():
            if (index := whole_index(folder)) and index.get("digest") == key:
                return Prepared(folder, index, was_there=True)
            (folder / INDEX).unlink()  # from here on it isn't whole
        write(run, folder, key, processes, shard_tokens, progress)
    return Prepared(folder, read_index(folder), was_there=False)


def whole_index(folder: Path) -> dict[str, Any] | None:
    """The index of shards that are there, to the bit; None where they are damaged, and have to be made again."""
    try:
        return verify(folder)
    except DataError:
        return None


def check_replaceable(folder: Path) -> None:
    """Raise ConfigurationError where something lies in the folder that this program didn't put there."""
    begun = (folder / INDEX).exists() or (folder / LOCK).exists()  # else a tokenizer.json there is the person's
    ours = (INDEX, "progress.json", *[TOKENIZER] * begun)
    found = [file.name for file in folder.glob("*") if file.name not in ours and file.suffix not in (".bin", ".lock")]
    others = [name for name in found if not name.startswith(".")]
    if others:
        raise ConfigurationError(f"{folder}: there is something else in it ({others[0]}); name a folder of its own")


def write(run: Run, folder: Path, key: str, processes: int, shard_tokens: int, progress: Progress) -> None:
    tokenizer = run.tokenizer
    width = 2 if tokenizer.vocab_size <= 1 << 16 else 4
    writer, totals = Writer(folder, key, width, shard_tokens), run.corpus.amounts
    for name in SPLITS:
        split = writer.split(name)
        done = split.done["documents"]
        if not done and tokenizer.bos is not None and totals[name]:
            writer.add(split, Piece(tokenizer.bos.to_bytes(width, sys.byteorder), 0, 0))  # before the first document
        rest = islice(run.documents[name], done, None)
        for piece in encoded(tokenizer, "H" if width == 2 else "I", rest, done, processes):
            writer.add(split, piece)
            done += piece.documents
            progress(name, done, totals[name])
        writer.flush(split)
    atomic_write(folder / TOKENIZER, (json.dumps(tokenizer.to_dict(), indent=2) + "\n").encode("utf-8"))
    about = {
        "dataset": run.pipeline.dataset.to_dict(),
        "transforms": [each.to_dict() for each in run.pipeline.transforms],
    }
    writer.finish(about | {"tokenizer": {"use": tokenizer.name, "vocab_size": tokenizer.vocab_size}})
