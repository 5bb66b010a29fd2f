"""The compiled scanners cut texts as their patterns do, run by the `regex` package: every character, strings of traps.

Where this fails after an update of `regex`, Unicode has new characters: run scripts/make_classes.py.
"""

import random
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise

import pytest

from microgpt_tokenizers.bpe.splitting import PATTERNS, Splitter

native = pytest.importorskip("microgpt_tokenizers.bpe.native", reason="the compiled part of the pack wasn't built")
Split = Callable[[str], Iterable[str]]
PATTERN = pytest.mark.parametrize("pattern", PATTERNS)
SURROGATES = range(0xD800, 0xE000)
CHARACTERS = [chr(i) for i in range(0x110000) if i not in SURROGATES]
# Around a character: words, numbers, contractions, white space, line breaks, the end.
CONTEXTS = [
    "{0}a",
    "a{0}b",
    "A{0}B",
    "A{0}",
    " {0}",
    " {0} ",
    "  {0}a",
    "'{0}",
    "a'{0}e",
    "!{0}\n",
    "\n{0}\n",
    "1{0}23",
    "{0}{0}{0}{0}",
]
ON_EVERY_PUSH = ("a{0}b", " {0} ", "1{0}23")
# What patterns speak of: cases, title case, both, marks, numbers, kinds of white space, contractions, a long s.
TRAPS = "aAbBsStTlLeErRvVmMdD''  \n\r\t.!/1234\u0301\u0300ªǅſあ中\u00a0\u2028Ⅷ٣é😀\x85\x1c\u200b"


def difference(split: Split, expected: Split, text: str) -> str:
    """The first chunk that is another, with its neighbours; "" where there is none."""
    found, wanted = list(split(text)), list(expected(text))
    if found == wanted:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
    return f"found {found[max(at - 1, 0) : at + 2]}, wanted {wanted[max(at - 1, 0) : at + 2]}"


def scanner(pattern: str) -> Split:
    return lambda text: native.split(text, pattern)


def every_context(characters: Iterable[str]) -> str:
    return "".join(context.format(character) + "\n#" for character in characters for context in CONTEXTS)


@cache
def at_the_edges() -> list[str]:
    """The first and the last of every stretch of characters that the scanners take for the same kind."""
    changes = [i for i, (a, b) in enumerate(pairwise(map(kind, CHARACTERS))) if a != b]
    return [CHARACTERS[i] for i in sorted({*changes, *(i + 1 for i in changes)})]


def kind(character: str) -> tuple[int, ...]:
    """How many characters each chunk has that is cut around it."""
    return tuple(map(len, native.split(f"a{character}A{character}1{character} ", "o200k")))


@PATTERN
def test_characters_where_the_kind_changes(pattern: str) -> None:
    characters = at_the_edges()
    assert len(characters) > 1000
    assert difference(scanner(pattern), Splitter(pattern).chunks, every_context(characters)) == ""


@pytest.mark.slow
@PATTERN
@pytest.mark.parametrize(
    "context", [c if c in ON_EVERY_PUSH else pytest.param(c, marks=pytest.mark.long) for c in CONTEXTS]
)
def test_every_character(pattern: str, context: str) -> None:
    text = "\n#".join(map(context.format, CHARACTERS))
    assert difference(scanner(pattern), Splitter(pattern).chunks, text) == ""


@PATTERN
def test_strings_of_traps(pattern: str) -> None:
    draw, expected = random.Random(8), Splitter(pattern)
    for _ in range(3000):
        text = "".join(draw.choices(TRAPS, k=draw.randint(1, 24)))
        assert difference(scanner(pattern), expected.chunks, text) == "", repr(text)


@PATTERN
@pytest.mark.parametrize(
    "text", ["", " ", "  ", "\n", " \n ", "\n  \n", "a  ", "a \n", "'", "'s", "'ſ", "don't'Ve", "\u0301AB", "\u0301"]
)
def test_ends_and_beginnings(pattern: str, text: str) -> None:
    assert difference(scanner(pattern), Splitter(pattern).chunks, text) == ""


@pytest.mark.parametrize(
    ("pattern", "plant"),
    [
        ("gpt2", PATTERNS["gpt2"].replace(r"\s", r"[\s\x1c]")),  # what Python's own `re` calls white space
        ("gpt2", PATTERNS["gpt2"].replace(r"|\s+(?!\S)", "")),
        ("cl100k", PATTERNS["cl100k"].replace("'(?i:[sdmt]", "'[sS]|'(?i:[dmt]")),  # without the long s
        ("cl100k", PATTERNS["cl100k"].replace(r"|\s++$", "")),
        ("o200k", PATTERNS["o200k"].replace(r"\p{Lt}", "")),
        ("o200k", PATTERNS["o200k"].replace(r"[\r\n/]*", r"[\r\n]*")),
    ],
)
def test_planted_it_is_found(pattern: str, plant: str) -> None:
    """A scanner of another pattern, by the same texts."""
    draw, planted = random.Random(8), Splitter(plant)
    assert plant != PATTERNS[pattern]
    texts = ["".join(draw.choices(TRAPS, k=draw.randint(1, 24))) for _ in range(3000)]
    assert any(difference(scanner(pattern), planted.chunks, text) for text in texts)


@PATTERN
def test_a_planted_character_is_found(pattern: str) -> None:
    """A scanner that takes one letter among all for a sign, by the text of all characters where the kind changes."""
    characters = at_the_edges()
    letter = next(c for c in characters if c.isalpha() and ord(c) > 0xFFFF)

    def planted(text: str) -> list[str]:
        return [chunk.replace("\ue000", letter) for chunk in native.split(text.replace(letter, "\ue000"), pattern)]

    assert difference(planted, Splitter(pattern).chunks, every_context(characters)) != ""


def test_other_patterns_have_no_scanner() -> None:
    with pytest.raises(ValueError, match="found 'gpt3', allowed: gpt2, cl100k, o200k"):
        native.split("a", "gpt3")
