"""The Unicode form that texts are brought to before anything else, so that é is é however it was typed."""

import unicodedata
from itertools import groupby

import regex  # type: ignore[import-untyped,unused-ignore]

from microgpt_core.errors import ConfigurationError
from microgpt_core.text.char import FORMS, Form

# Accents on one letter, of which no language has more than a few; the last two are marks once they are taken apart.
LONG = regex.compile(r"[\p{M}\uff9e\uff9f]{100,}+")


def check_form(form: object) -> None:
    """Raise ConfigurationError unless it names a Unicode form, or none."""
    if form is not None and form not in FORMS:
        raise ConfigurationError(f"normalize: found {form!r}, allowed: null, {', '.join(FORMS)}")


def normalized(text: str, form: Form | None) -> str:
    """The text in its Unicode form, in time that grows with the text."""
    if form is None or text.isascii():
        return text
    return unicodedata.normalize(form, LONG.sub(lambda found: in_order(found[0], form), text))


def in_order(marks: str, form: Form) -> str:
    """Marks in the order in which a Unicode form has them, each taken apart: what Python sorts in quadratic time."""
    apart = "".join([unicodedata.normalize("NFKD" if "K" in form else "NFD", mark) for mark in marks])
    runs = groupby(apart, key=lambda mark: unicodedata.combining(mark) > 0)  # over a mark of class 0 none moves
    return "".join(["".join(sorted(run, key=unicodedata.combining) if moves else run) for moves, run in runs])
