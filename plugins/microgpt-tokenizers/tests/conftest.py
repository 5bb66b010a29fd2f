"""Texts in many scripts, and the two implementations of byte-pair encoding."""

import os
from pathlib import Path

import pytest

from microgpt_core.errors import DataError
from microgpt_core.text.cached import TinyShakespeare
from microgpt_tokenizers.bpe import choice

SCRIPTS = {
    "Latin": "The naïve façade of the Œuvre: 3.14159 costs £42, doesn't it?  Größe, señor, čaj, İstanbul ﬁne.",
    "Greek": "Η γρήγορη αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. ΑΒΓ ς",
    "Cyrillic": "Съешь же ещё этих мягких французских булок, да выпей чаю. Ґанок, љубав",
    "Arabic": "النص العربي يُكتب من اليمين إلى اليسار، ٢٠٢٦ ﷽",
    "Hebrew": "שלום עולם, מה שלומך היום? בְּרֵאשִׁית",
    "Devanagari": "सभी मनुष्यों को गौरव और अधिकारों में जन्मजात स्वतन्त्रता है। १२३",
    "Thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน",
    "Han": "人人生而自由，在尊严和权利上一律平等。㐀𠀀 〇一二三",
    "Kana": "すべての人間は、生まれながらにして自由であり。ｶﾀｶﾅ カタカナ",
    "Hangul": "모든 인간은 태어날 때부터 자유로우며 각 ㅎㅏㄴ",
    "Tamil": "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்",
    "Georgian": "ყველა ადამიანი იბადება თავისუფალი ᲐᲑᲒ",
    "code": "def f(x: int) -> str:\n\tif x >= 10_000:  # why?\n      return f'{x!r}' + 'a\\n'\n\n\n    \treturn 1\r\n",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 👋🏽 ❤️ 🇫🇷🇩🇪 e\u0301 \u200d\ufeff 👍👍🏿!!",
    "white space": "a  b   c\t\td\u00a0e\u3000f \n\n \r\n  g\u2028h\u0085i   ",
    "marks": "<|endoftext|> 's 'S 'LL 'll 've ''re''  'ſ 'tis !?!? ---- /// ...\n\n/ x/\n",
    "numbers": "1 22 333 4444 55555 ٣٤٥٦٧ ½ Ⅷ ²³ 1,000,000.00",
    "nothing": "",
}
IMPLEMENTATIONS = ["python"] + ["native"] * (choice.native() is not None)


@pytest.fixture(scope="session")
def scripts() -> dict[str, str]:
    """Texts by what they try."""
    return SCRIPTS


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two is used, for a test that both have to pass."""
    monkeypatch.setenv(choice.VARIABLE, request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def tinyshakespeare() -> str:
    """A megabyte of English, from the cache. Absent, the test is skipped; with MICROGPT_REQUIRE_DATA=1 it fails."""
    try:
        return TinyShakespeare().text()
    except DataError as error:
        if os.environ.get("MICROGPT_REQUIRE_DATA") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def ranks() -> Path:
    """The folder with the published vocabularies: r50k_base.tiktoken, ..., encoder.json and vocab.bpe."""
    folder = os.environ.get("MICROGPT_RANKS")
    if not folder:
        pytest.skip("MICROGPT_RANKS doesn't name a folder with r50k_base.tiktoken, encoder.json and their like")
    return Path(folder)
