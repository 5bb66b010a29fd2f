"""The ids are those of tiktoken: of a vocabulary learned here, and of the real ones where MICROGPT_RANKS says where.

That folder has r50k_base.tiktoken, cl100k_base.tiktoken and o200k_base.tiktoken.
"""

import base64
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microgpt_core.text.names import Names
from microgpt_tokenizers.bpe.splitting import PATTERNS

native = pytest.importorskip("microgpt_tokenizers.bpe.native", reason="the compiled part of the pack wasn't built")
tiktoken = pytest.importorskip("tiktoken", reason="the ids are compared with those of tiktoken")

RANKS = {"gpt2": "r50k_base", "cl100k": "cl100k_base", "o200k": "o200k_base"}
PATTERN = pytest.mark.parametrize("pattern", PATTERNS)
TEXTS = {
    "English": "It's the BEST of times, it was the worst of times; they'd 1234567 reasons!\n\n  Once more:\tdon't.",
    "Russian": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
    "Chinese": "道可道,非常道。名可名,非常名。无名天地之始;有名万物之母。",
    "Japanese": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。カタカナー",
    "Korean": "나라의 말이 중국과 달라 한자와는 서로 통하지 아니하므로",
    "Arabic": "بِسْمِ ٱللَّهِ ٱلرَّحْمَـٰنِ ٱلرَّحِيمِ ١٢٣٤٥",
    "Hebrew": "בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם וְאֵת הָאָרֶץ",
    "Hindi": "धर्मक्षेत्रे कुरुक्षेत्रे समवेता युयुत्सवः १२३४",
    "Thai": "ทุกคนเกิดมามีอิสระเสรีและเท่าเทียมกันในศักดิ์ศรี ๑๒๓",
    "Greek": "Μῆνιν ἄειδε θεά Πηληϊάδεω Ἀχιλῆος οὐλομένην, ΜΗΝΙΝ",
    "Georgian": "ყველა ადამიანი იბადება თავისუფალი ᲧᲕᲔᲚᲐ",
    "code": "def f(x: int) -> None:\n    return {**x, 'a': [1_000, 0xFF]}  # why\n\tif (a&&b) { i++; }\r\n//\n/**/\n",
    "emoji": "👩‍👩‍👧‍👦 🇩🇪🏳️‍🌈 👍🏽 e\u0301 \u00a0\u2003 ſ 'ſ Ⅷ ½ ﬆ",
}


def real_ranks(pattern: str) -> dict[bytes, int]:
    """A real vocabulary; skips where there is none."""
    folder = os.environ.get("MICROGPT_RANKS")
    if not folder:
        pytest.skip("MICROGPT_RANKS names no folder with the real ranks")
    lines = (Path(folder) / f"{RANKS[pattern]}.tiktoken").read_bytes().splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}


def learned_ranks(pattern: str) -> dict[bytes, int]:
    texts = [*TEXTS.values(), *Names(validation=0.0).all_documents()[:2000]] * 2
    names = [bytes([i]) for i in range(256)]
    for left, right in native.train_merges(texts, 1500, pattern=pattern):
        names.append(names[left] + names[right])
    return {token: i for i, token in enumerate(names)}


def both(ranks: dict[bytes, int], pattern: str) -> tuple[Any, Any]:
    oracle = tiktoken.Encoding(pattern, pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})
    return native.Encoder(ranks, None, pattern), oracle


@pytest.fixture(scope="module", params=PATTERNS)
def learned(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return both(learned_ranks(request.param), request.param)


@pytest.fixture(scope="module", params=PATTERNS)
def real(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return both(real_ranks(request.param), request.param)


def mixtures(n: int) -> list[str]:
    """Strings of characters of all the texts, and of pieces of them."""
    draw, everything = random.Random(4), "".join(TEXTS.values())
    found = ["".join(draw.choices(everything, k=draw.randint(1, 200))) for _ in range(n)]
    for _ in range(n):
        starts = [draw.randrange(len(everything)) for _ in range(draw.randint(1, 20))]
        found.append("".join(everything[start : start + draw.randint(1, 30)] for start in starts))
    return found


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_of_what_was_learned_the_ids_are_tiktoken_s(learned: tuple[Any, Any], text: str) -> None:
    ours, oracle = learned
    assert ours.encode(text) == oracle.encode_ordinary(text)


def test_of_mixtures_they_are_too(learned: tuple[Any, Any]) -> None:
    ours, oracle = learned
    texts = mixtures(300)
    assert ours.encode_batch(texts, 2) == oracle.encode_ordinary_batch(texts, num_threads=1)


@pytest.mark.slow
def test_with_the_real_ranks_the_ids_are_tiktoken_s(real: tuple[Any, Any]) -> None:
    ours, oracle = real
    texts = [*TEXTS.values(), *(text * 50 for text in TEXTS.values()), *mixtures(1000)]
    assert ours.encode_batch(texts, 2) == oracle.encode_ordinary_batch(texts, num_threads=1)


@pytest.mark.slow
def test_every_character_has_the_real_ids(real: tuple[Any, Any]) -> None:
    """Each between letters and after a space."""
    ours, oracle = real
    pieces = [f"a{chr(i)}a {chr(i)}" for i in range(0x110000) if not 0xD800 <= i < 0xE000]
    texts = ["\n".join(pieces[i : i + 64]) for i in range(0, len(pieces), 64)]
    found, expected = ours.encode_batch(texts, 2), oracle.encode_ordinary_batch(texts, num_threads=2)
    others = [text for text, a, b in zip(texts, found, expected, strict=True) if a != b]
    assert others == []


def test_planted_another_order_gives_other_ids() -> None:
    """What was learned last joined first: the comparison sees it."""
    ranks = learned_ranks("gpt2")
    swapped = dict(zip(ranks, [*range(256), *reversed(range(256, len(ranks)))], strict=True))
    text = "".join(TEXTS.values())
    expected = both(ranks, "gpt2")[1].encode_ordinary(text)
    assert native.Encoder(ranks, None, "gpt2").encode(text) == expected
    assert native.Encoder(swapped, None, "gpt2").encode(text) != expected


REPEATED = {
    "letters": "a",
    "capitals": "A",
    "spaces": " ",
    "digits": "7",
    "marks": "\u0301",
    "lines": "\n",
    "quotes": "'",
}


# What twice the text costs, in the middle of four doublings. glibc is told to keep memory: the system takes its time to
# find new pages for a large text, and that isn't ours.
TIMING = """
import sys
from time import process_time

from test_native_ranks import native, real_ranks

def seconds(n):
    text, best = unit * (n // len(unit.encode())), 1e9
    for _ in range(15):
        start = process_time()
        encoder.encode(text)
        best = min(best, process_time() - start)
    return best

pattern, unit = sys.argv[1:]
encoder = native.Encoder(real_ranks(pattern), None, pattern)
print((seconds(1 << 20) / seconds(1 << 16)) ** (1 / 4))
"""
KEEPING = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 30)}


@pytest.mark.long
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("unit", REPEATED.values(), ids=REPEATED)
def test_what_is_repeated_takes_time_in_proportion(pattern: str, unit: str) -> None:
    real_ranks(pattern)
    paths = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | KEEPING | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", TIMING, pattern, unit]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert float(done.stdout) <= 2.3
