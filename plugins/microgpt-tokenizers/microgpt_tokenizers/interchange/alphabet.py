"""Bytes as characters that can be seen: how GPT-2's files, and most since, write tokens that are no whole UTF-8.

A byte that is a visible character of Latin-1 is that character; the others are, in order, the characters from
U+0100 on, so that a space is Ġ and a line end Ċ.
"""

from microgpt_core.errors import DataError

VISIBLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
HIDDEN = [byte for byte in range(256) if byte not in VISIBLE]
TO_TEXT = {byte: chr(byte) for byte in VISIBLE} | {byte: chr(256 + i) for i, byte in enumerate(HIDDEN)}
TO_BYTE = {character: byte for byte, character in TO_TEXT.items()}


def to_text(token: bytes) -> str:
    return "".join([TO_TEXT[byte] for byte in token])


def to_bytes(text: str) -> bytes:
    """Raises DataError where a character stands for no byte."""
    try:
        return bytes([TO_BYTE[character] for character in text])
    except KeyError as error:
        raise DataError(
            f"the token {text!r:.60} has {error.args[0]!r} in it, which stands for no byte; only byte-level "
            "vocabularies can be read"
        ) from None
