"""Lone surrogates: halves of UTF-16 pairs, which a Python text can hold and no UTF-8 can. They are refused."""

from microgpt_core.errors import DataError
from microgpt_core.text.char import name_character


def to_utf8(text: str) -> bytes:
    """The UTF-8 of a text. Raises DataError where it has a lone surrogate."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise lone_surrogate(error) from None


def lone_surrogate(error: UnicodeEncodeError) -> DataError:
    """What UTF-8 couldn't hold, as an error for the person."""
    what = name_character(error.object[error.start])
    return DataError(
        f"{what} at position {error.start} is half a UTF-16 pair, no character; read the text with errors='replace', "
        "or leave it out"
    )
