"""A pack in a process of its own: whatever it does there, this one hears of it and goes on."""

import sys
from pathlib import Path

import pytest

from microgpt_core.pipeline import builtin
from microgpt_core.plugins import probe as module
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import Pack
from microgpt_core.plugins.probe import probe

HEAD = "from microgpt_core.hookspecs import hookimpl\n"
GOOD = HEAD + (
    "from microgpt_core.components import Tokenizer\n"
    "class Reverse(Tokenizer): name = 'reverse'\n"
    "@hookimpl\ndef microgpt_tokenizers(): return {'reverse': Reverse, 'lazy': 'a.b:C'}\n"
    "@hookimpl\ndef microgpt_stages(): return {'report': report}\n"
    "def report(run): pass\n"
)
ENDS = {
    "exits": ("import os; os._exit(7)", "it ended its process with code 7"),
    "ends well": ("import os; os._exit(0)", "it ended its process with code 0"),
    "too slow": ("while True: pass", "TimeoutError: it took longer than 0.5 s"),
    "deaf": (
        "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: pass",
        "it took longer than 0.5 s",
    ),
    "raises": ("1 / 0", "ZeroDivisionError: division by zero"),
    "unspeakable": (
        HEAD + "class Odd:\n    def __call__(self): pass\n    def __repr__(self): raise ValueError\n"
        "@hookimpl\ndef microgpt_stages(): return {'odd': Odd()}",
        "it ended its process with code 1",
    ),
    "takes a name": (HEAD + "@hookimpl\ndef microgpt_tokenizers(): return {'char': 'a:B'}", "'char' is the core's"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGPT_IMPORT_LIMIT", "0.5")
    monkeypatch.setattr(module, "GRACE", 2.0)


def probed(name: str) -> Pack:
    """What the probe finds of one installed pack."""
    packs = load(builtin, read=probe).packs
    assert not [loaded for loaded in sys.modules if loaded.startswith(f"microgpt_{name}")]
    return packs[-1]


@pytest.mark.parametrize("name", ENDS)
def test_it_tells_how_a_pack_ended(name: str, install) -> None:
    source, said = ENDS[name]
    install("bad", source)
    pack = probed("bad")
    assert pack.state == "failed"
    assert said in pack.failure
    assert pack.failure.startswith(f"pack 'bad' (microgpt-bad 1.0) failed ({pack.stage}): ")
    assert Path(pack.file).name == "microgpt_bad_bad.py"


def test_a_good_pack_is_told_as_reading_it_here_would(install) -> None:
    install("good", "import os, sys, threading\nos.write(1, b'noise')\nprint('hello')\n" + GOOD)
    pack, here = probed("good"), load(builtin).packs[-1]
    assert pack.state == here.state == "ok"
    assert {kind: list(found) for kind, found in pack.components.items()} == {
        kind: list(found) for kind, found in here.components.items()
    }
    assert pack.components["tokenizers"] == {"reverse": "microgpt_good_good:Reverse", "lazy": "a.b:C"}
    assert (pack.file, pack.output) == (here.file, here.output)
    assert pack.seconds > 0
