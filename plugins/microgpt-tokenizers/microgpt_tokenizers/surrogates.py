"""Lone surrogates: halves of UTF-16 pairs, which a Python text can hold and no UTF-8 can. They are refused."""

from microgpt_core.errors import DataError
from microgpt_core.text.char import name_character


def without_surrogates(text: str) -> str:
    """The text itself. Raises DataError where it has a lone surrogate."""
    if text.isascii():  # which Python knows without looking
        return text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        what = name_character(text[error.start])
        raise DataError(
            f"{what} at position {error.start} is half a UTF-16 pair, no character; read the text with "
            "errors='replace', or leave it out"
        ) from None
    return text
