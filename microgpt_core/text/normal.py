"""The Unicode form that texts are brought to before anything else, so that é is é however it was typed."""

import re
import unicodedata
from itertools import groupby
from typing import Literal, get_args

from microgpt_core.errors import ConfigurationError

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS = get_args(Form)
# More accents on one letter than any language has. Whatever is neither letter, digit nor ASCII may be one; the last two
# are letters to Python, and accents once they are taken apart.
LONG = re.compile(r"(?:[^\w\x00-\x7f]|[\uff9e\uff9f]){30,}+")


def check_form(form: object) -> None:
    """Raise ConfigurationError unless it names a Unicode form, or none."""
    if form is not None and form not in FORMS:
        raise ConfigurationError(f"normalize: found {form!r}, allowed: null, {', '.join(FORMS)}")


def normalized(text: str, form: Form | None) -> str:
    """The text in its Unicode form, in time that grows with the text: Python alone sorts accents in quadratic time."""
    if form is None or text.isascii():
        return text
    return unicodedata.normalize(form, LONG.sub(lambda found: in_order(found[0], form), text))


def in_order(marks: str, form: Form) -> str:
    """Signs taken apart, and accents among them in the order in which a Unicode form has them."""
    apart = "".join([unicodedata.normalize("NFKD" if "K" in form else "NFD", mark) for mark in marks])
    runs = groupby(apart, key=lambda mark: unicodedata.combining(mark) > 0)  # over a mark of class 0 none moves
    return "".join(["".join(sorted(run, key=unicodedata.combining) if moves else run) for moves, run in runs])
