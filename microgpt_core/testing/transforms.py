"""What every transform promises: texts out of texts, the same at each call, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice

from microgpt_core.components import Transform
from microgpt_core.testing.datasets import SPLITS
from microgpt_core.testing.other_process import ask
from microgpt_core.testing.report import Check, checks

MANY = 3_000  # texts that are given
LINES = ("Anna", "O'Neil", "Straße 12", "été  à la\tmer", "Привет, мир", "你好，世界", "x = [1, 2]\n", "ﬁne", "")


def transform_checks(transform: Transform, component: str = "") -> list[Check]:
    return checks(component or f"transform {transform.name}", RULES, lambda: transform)


def texts() -> Iterator[str]:
    """Texts in several scripts, some of them twice, short ones and longer ones."""
    for i in range(MANY):
        yield " ".join(LINES[(i * j) % len(LINES)] for j in range(1, 2 + i % 7)) + f" {i % (MANY - 100)}" * (i % 3)


def gives_texts(transform: Transform) -> Iterator[str]:
    """Every document that it gives is a string, and of no documents it makes none."""
    for split in SPLITS:
        if strange := [text for text in transform.apply(texts(), split) if not isinstance(text, str)]:
            yield f"{split} has {strange[0]!r} ({type(strange[0]).__name__}) among its documents; expected str"
        if made_up := list(transform.apply((), split)):
            yield f"of no documents it makes {made_up[0]!r}; leave out, or change, what is given"


def same_at_each_call(transform: Transform) -> Iterator[str]:
    """apply begins anew at each call, also while an earlier one is being read: a run reads its documents again."""
    for split in SPLITS:
        before = list(transform.apply(texts(), split))
        both = list(zip(transform.apply(texts(), split), transform.apply(texts(), split)))
        if len(both) != len(before) or any(a != b or a != c for a, (b, c) in zip(before, both)):
            yield f"apply(texts, {split!r}) gives other documents at a second call; keep what it remembers in the call"


def gives_as_it_reads(transform: Transform) -> Iterator[str]:
    """It gives a document before it has read them all: they may be more than memory holds."""
    for split in SPLITS:
        remaining = texts()
        applied = transform.apply(remaining, split)  # kept until the end: with it, what it reads would be closed
        if len(list(islice(applied, 10))) == 10 and next(remaining, None) is None:
            yield f"apply(texts, {split!r}) reads all {MANY} texts before it gives one; yield each when it is ready"


def same_in_every_process(transform: Transform) -> Iterator[str]:
    """What it does depends on no order of a set, and on no generator of random numbers but its own."""
    one, other = (ask(digest, transform, hash_seed=seed) for seed in (1, 2))
    if one != other:
        yield "in two processes it does two things: hash(), the order of a set, or unseeded chance decides"


def digest(transform: Transform) -> list[str]:
    """What `same_in_every_process` compares."""
    found = ("\0".join(transform.apply(texts(), split)) for split in SPLITS)
    return [sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in found]


RULES = (gives_texts, same_at_each_call, gives_as_it_reads, same_in_every_process)
