"""What there is to learn from, in numbers: documents, tokens, what comes twice, and what is in both splits.

Memory holds a number for each document and, of the held-out text, for each run of words; the texts only in passing.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

from microgpt_core.pipeline.runs.run import Run
from microgpt_core.text.split import SPLITS

# A word; of scripts that put no space between words, a character.
WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f]|[^\W\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]+"
)
WORDS = 8  # in a row that two texts share by copying, hardly ever by chance


@dataclass
class SplitStatistics:
    """One split."""

    documents: int = 0
    characters: int = 0
    bytes: int | None = 0
    tokens: int = 0
    duplicates: int | None = 0  # documents that are the same as an earlier one
    shortest: int | None = 0  # characters
    longest: int | None = 0


@dataclass
class Contamination:
    """How much of what is held out can be found in what is learned from."""

    documents: float = 0.0  # percent of the held-out documents that are there word for word
    overlapping: float = 0.0  # percent of those that share a run of words
    ngrams: float = 0.0  # percent of the held-out runs of words
    words: int = WORDS  # in a run
    example: str = ""  # such a run


@dataclass
class Statistics:
    """Both splits, and what they have in common."""

    splits: dict[str, SplitStatistics] = field(default_factory=dict)
    contamination: Contamination | None = None  # None: nothing is held out

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(run: Run, words: int = WORDS) -> Statistics:
    """Read everything once, and what is held out twice."""
    found, run.corpus.streamed = Statistics(), ("train",)
    for split in SPLITS:
        if run.corpus.tokens:
            found.splits[split] = of_numbers(run, split)
        else:
            found.splits[split] = of_texts(run.documents[split], run)
    if not run.corpus.tokens and found.splits["validation"].documents:
        found.contamination = contamination(run.documents["train"], run.documents["validation"], words)
    return found


def of_numbers(run: Run, split: str) -> SplitStatistics:
    """Of shards: what was counted when they were made; the rest, which nobody counted then, is None."""
    index: dict[str, Any] = getattr(run.dataset, "index", {}).get("splits", {}).get(split, {})
    counted = {name: index.get(name, 0) for name in ("documents", "characters")}
    return SplitStatistics(
        **counted, tokens=run.corpus.amounts[split], bytes=None, duplicates=None, shortest=None, longest=None
    )


def of_texts(texts: Iterable[str], run: Run) -> SplitStatistics:
    found, seen, lengths, n_bytes = SplitStatistics(), set[int](), [0, 0], 0
    for text in texts:
        seen.add(hashed(text))
        lengths = [min(lengths[0], len(text)), max(lengths[1], len(text))] if found.documents else [len(text)] * 2
        found.documents += 1
        found.characters += len(text)
        n_bytes += len(text.encode("utf-8", "surrogatepass"))
        found.tokens += len(run.tokenizer.encode(text))
    found.bytes, found.duplicates, (found.shortest, found.longest) = n_bytes, found.documents - len(seen), lengths
    return found


def contamination(train: Iterable[str], validation: Collection[str] | Iterable[str], words: int) -> Contamination:
    """What of the held-out text is in the other: whole documents, and runs of `words` words."""
    whole, runs = {hashed(text) for text in validation}, {run for text in validation for run in ngrams(text, words)}
    there, shared, example = set[int](), set[int](), ""
    for text in train:
        if (digest := hashed(text)) in whole:
            there.add(digest)
        for run, said in spelled(text, words):
            if run in runs:
                shared.add(run)
                example = example or said
    documents = overlapping = n = 0
    for text in validation:
        n += 1
        documents += hashed(text) in there
        overlapping += any(run in shared for run in ngrams(text, words))
    return Contamination(
        percent(documents, n), percent(overlapping, n), percent(len(shared), len(runs)), words, example
    )


def ngrams(text: str, words: int) -> Iterator[int]:
    return (run for run, _ in spelled(text, words))


def spelled(text: str, words: int) -> Iterator[tuple[int, str]]:
    """Each run of words, as a number and as it is; of a shorter text, all of its words."""
    every = WORD.findall(text.lower())
    for i in range(max(1, len(every) - words + 1) if every else 0):
        said = " ".join(every[i : i + words])
        yield hashed(said), said


def hashed(text: str) -> int:
    """Eight bytes that stand for a text."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
