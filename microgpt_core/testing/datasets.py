"""What every dataset promises: strings, in one order, each on one side only."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice

from microgpt_core.components import Dataset
from microgpt_core.errors import DataError
from microgpt_core.testing.other_process import ask
from microgpt_core.testing.report import Check, NotTested, checks

SPLITS = ("train", "validation")
MANY = 20_000  # documents of a split that are looked at


def dataset_checks(dataset: Dataset, component: str = "") -> list[Check]:
    """The checks of a dataset's documents, or of its numbers. One whose data isn't on this machine isn't tested."""
    numbers = type(dataset).tokens is not Dataset.tokens

    def make() -> Dataset:
        try:
            _ = dataset.tokens("train") if numbers else next(iter(dataset.documents("train")), None)
        except DataError as error:
            raise NotTested(str(error)) from error
        return dataset

    return checks(component or f"dataset {dataset.name}", TOKEN_RULES if numbers else RULES, make)


def gives_documents(dataset: Dataset) -> Iterator[str]:
    """Every document is a string, and there is one to train on."""
    for split in SPLITS:
        documents = first(dataset, split)
        if strange := [d for d in documents if not isinstance(d, str)]:
            yield f"{split} has {strange[0]!r} ({type(strange[0]).__name__}) among its documents; expected str"
        if split == "train" and not any(documents):
            yield "train has no document with text; raise DataError where there is nothing to read"


def same_order_each_call(dataset: Dataset) -> Iterator[str]:
    """documents(split) begins anew at each call, also while an earlier one is being read."""
    for split in SPLITS:
        before = first(dataset, split)
        one, other = dataset.documents(split), dataset.documents(split)
        both = list(islice(zip(one, other), MANY))
        if len(both) != len(before) or any(a != b or a != c for a, (b, c) in zip(before, both)):
            yield f"documents({split!r}) gives other documents, or another order, at a second call"


def splits_are_disjoint(dataset: Dataset) -> Iterator[str]:
    """No document is in both splits: a model would be judged on what it was trained on."""
    train, validation = (set(first(dataset, split)) for split in SPLITS)
    if both := train & validation - {""}:
        some = min(both, key=len)
        yield f"{len(both)} documents are in both splits, {some[:40]!r} among them"


def same_in_every_process(dataset: Dataset) -> Iterator[str]:
    """The order doesn't depend on that of sets, or on the process."""
    one, other = (ask(digest, dataset, hash_seed=seed) for seed in (1, 2))
    if one != other:
        yield "in two processes it has two orders: an order of a set or of hash() decides; sort first"


def digest(dataset: Dataset) -> list[str]:
    """What `same_in_every_process` compares."""
    texts = ("\0".join(first(dataset, split)) for split in SPLITS)
    return [sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]


def first(dataset: Dataset, split: str) -> list[str]:
    return list(islice(dataset.documents(split), MANY))


def gives_tokens(dataset: Dataset) -> Iterator[str]:
    """Each split is a sequence of ids from 0 on, to be sliced, and the same at each call; train has some."""
    for split in SPLITS:
        ids, again = dataset.tokens(split) or (), dataset.tokens(split) or ()
        pieces = [list(ids[start : start + 7]) for start in range(0, min(len(ids), MANY), 7)]
        found = [i for piece in pieces for i in piece]
        if found != [ids[i] for i in range(len(found))] or found != list(again[: len(found)]):
            yield f"slices of tokens({split!r}) are something else than its items, or than those of a second call"
        if strange := [i for i in found if not isinstance(i, int) or i < 0]:
            yield f"{split} has {strange[0]!r} among its tokens; expected ids, 0 or more"
        if split == "train" and not found:
            yield "train has no token; raise DataError where there is nothing to read"


def says_what_they_mean(dataset: Dataset) -> Iterator[str]:
    """There is a folder with the tokenizer that made the tokens: a model without it can't read or write."""
    folder = dataset.tokenizer()
    if folder is None or not (folder / "tokenizer.json").is_file():
        yield f"tokenizer() gives {folder}; expected a folder with the tokenizer.json of the tokenizer that made them"


TOKEN_RULES = (gives_tokens, says_what_they_mean)
RULES = (gives_documents, same_order_each_call, splits_are_disjoint, same_in_every_process)
