"""Writes microgpt_tokenizers/bpe/c/classes.c: what the scanners know of each character, as the `regex` package says.

    python scripts/make_classes.py

Characters come in pages of 128; equal pages are written once. Wants the `regex` package.
"""

from pathlib import Path

import regex

TARGET = Path(__file__).resolve().parents[1] / "microgpt_tokenizers/bpe/c/classes.c"
PAGE = 128
LAST = 0x10FFFF
BITS = (  # who has each bit of a class, in the order in which characters.h names them
    r"\p{L}",
    r"\p{N}",
    r"\s",
    r"[^\s\p{L}\p{N}]",
    r"[\p{Lu}\p{Lt}]",
    r"\p{Ll}",
    r"[\p{Lm}\p{Lo}\p{M}]",
)


def classes() -> list[int]:
    """The class of every code point. A surrogate is no character: nothing matches it."""
    found = [0] * (LAST + 1)
    characters = "".join(chr(i) for i in range(LAST + 1) if not 0xD800 <= i <= 0xDFFF)
    for bit, pattern in enumerate(BITS):
        for match in regex.finditer(pattern, characters):
            found[ord(match.group())] |= 1 << bit
    return found


def source() -> str:
    """The file's text."""
    found = classes()
    pages = [tuple(found[start : start + PAGE]) for start in range(0, LAST + 1, PAGE)]
    distinct = list(dict.fromkeys(pages))  # the first is ASCII's
    place = {page: i for i, page in enumerate(distinct)}
    lines = [
        "/* What the scanners know of each character. Made by scripts/make_classes.py; don't edit.",
        f"   By version {regex.__version__} of the `regex` package. */",
        "",
        '#include "characters.h"',
        "",
        "const uint8_t MG_PAGES[] = {",
        *rows([place[page] for page in pages]),
        "};",
        "",
        f"const uint8_t MG_CLASSES[][{PAGE}] = {{",
        *("{\n" + "\n".join(rows(page)) + "\n}," for page in distinct),
        "};",
    ]
    return "\n".join(lines) + "\n"


def rows(numbers: list[int] | tuple[int, ...]) -> list[str]:
    return [",".join(map(str, numbers[i : i + 32])) + "," for i in range(0, len(numbers), 32)]


if __name__ == "__main__":
    TARGET.write_text(source(), encoding="utf-8", newline="\n")
