"""Unicode forms are Python's, and a megabyte of accents on one letter is no trouble."""

import random
import unicodedata
from itertools import pairwise
from time import perf_counter

import pytest

from microgpt_core.text.char import Char
from microgpt_core.text.normal import FORMS, LONG, normalized

MARKS = [chr(i) for i in range(0x110000) if unicodedata.category(chr(i)).startswith("M")]
APART = [mark for mark in (*MARKS, "\uff9e", "\uff9f") if unicodedata.normalize("NFKD", mark) != mark]
KINDS = [MARKS, APART, ["\u0301", "\u0327", "\u0300", "\u0344"], ["\u0f71", "\u0f72", "\u0f73"]]


def wrong_texts(normalize, form: str) -> list[str]:
    """Letters with far too many accents that come out otherwise than Python has them."""
    draw, wrong = random.Random(form), list[str]()
    for _ in range(300):
        marks = "".join(draw.choice(draw.choice(KINDS)) for _ in range(draw.randint(20, 250)))
        text = f"{draw.choice('aéǖ한ﬁᄀ')}{marks}{draw.choice('bé가ᅡ')}{marks[: draw.randint(0, 200)]}"
        if normalize(text, form) != unicodedata.normalize(form, text):
            wrong.append(text)
    return wrong


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_python_s(form):
    assert wrong_texts(normalized, form) == []


@pytest.mark.parametrize("form", FORMS)
def test_accents_in_another_order_are_found(form):
    """Sorted by their numbers, not by their classes."""
    assert wrong_texts(lambda text, form: unicodedata.normalize(form, text[0] + "".join(sorted(text[1:]))), form)


def test_every_sign_that_is_nothing_but_accents_is_looked_for():
    signs = [chr(i) for i in range(0x110000)]
    accents = [sign for sign in signs if all(map(unicodedata.combining, unicodedata.normalize("NFKD", sign)))]
    assert len(accents) > 800
    assert [f"U+{ord(sign):04X}" for sign in accents if not LONG.fullmatch(sign * 30)] == []


def test_a_tokenizer_is_as_quick():
    """Sorted as Python sorts them, this takes many seconds."""
    text = "a" + "\u0301\u0327" * 100_000
    ids = Char(normalize="NFD").train(["a\u0327\u0301"]).encode(text)
    assert ids == [1] + [3] * 100_000 + [2] * 100_000


@pytest.mark.long
@pytest.mark.parametrize("unit", ["\u0301\u0327", "\u0f73", "\u0344\u0327", "\uff9e\u0301", "\u0301", "é漢"])
@pytest.mark.parametrize("form", FORMS)
def test_time_grows_with_the_text(form, unit):
    """Not for continuous integration: it asks a clock. The mean of four doublings, up to a megabyte."""

    def seconds(size: int) -> float:
        begun = perf_counter()
        normalized(unit * (size // len(unit.encode())), form)
        return perf_counter() - begun

    taken = [min(seconds(1 << n) for _ in range(5)) for n in range(16, 21)]
    assert (taken[-1] / taken[0]) ** (1 / 4) <= 2.3, [b / a for a, b in pairwise(taken)]
