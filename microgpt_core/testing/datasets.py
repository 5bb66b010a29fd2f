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
    """The checks of a dataset. One whose data isn't on this machine isn't tested."""

    def make() -> Dataset:
        try:
            next(iter(dataset.documents("train")), None)
        except DataError as error:
            raise NotTested(str(error)) from error
        return dataset

    return checks(component or f"dataset {dataset.name}", RULES, make)


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


RULES = (gives_documents, same_order_each_call, splits_are_disjoint, same_in_every_process)
