"""What is said of other problems with packs than broken modules, to the letter: problems.txt."""

import re
from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core.errors import MicrogptError
from microgpt_core.plugins.selection import Without

SAID = dict(
    part.partition("\n")[::2]
    for part in re.split("^# ", Path(__file__).with_name("problems.txt").read_text(encoding="utf-8"), flags=re.M)
    if part
)
HEAD = "from microgpt_core.hookspecs import hookimpl\nfrom microgpt_core.components import Analyzer\n"
SHORT = {"train.max_steps": 1, "dataset.validation": 0.01, "stages": ["train"]}


def hook(kind: str, returned: str, more: str = "") -> str:
    return f"{HEAD}{more}@hookimpl\ndef microgpt_{kind}(): return {returned}\n"


BPE = hook("tokenizers", "{'bpe': 'nowhere:BPE'}")
OTHER = hook("tokenizers", "{'bpe': 'microgpt_pack_impl:BPE'}")
RAISES = "class Raises(Analyzer):\n    name = 'raises'\n    watch = ('block.0',)\n    def observe(self, *_): 1 / 0\n"

# What is wrong -> the packs (name, source, version, distribution), what is asked for, and which packs are left out.
TABLE: dict[str, tuple] = {
    "one short name in two packs": ([("one", BPE), ("two", BPE)], {"tokenizer": "bpe"}),
    "one full name in two distributions": ([("bpe", BPE, "1.0", "microgpt-a"), ("bpe", BPE, "2.0", "microgpt-b")], {}),
    "another version by a pin": ([("pack", BPE, "2.1")], {"tokenizer": "bpe@1"}),
    "an older version than is asked for": ([("pack", BPE, "2.1")], {"plugins": ["microgpt-pack>=3"]}),
    "not installed": ([], {"plugins": ["microgpt-pack>=3"]}),
    "a name of a pack that failed": ([("pack", "1 / 0")], {"tokenizer": "pack/bpe"}),
    "a name of a pack that is left out": ([("pack", BPE)], {"tokenizer": "pack/bpe"}, Without("pack")),
    "a module that isn't there": ([("pack", BPE)], {"tokenizer": "bpe"}),
    "a class of another kind": ([("pack", OTHER), ("impl", "BPE = int", "1.0", "microgpt-pack")], {"tokenizer": "bpe"}),
    "a model that is none": ([("pack", hook("models", "{'junk': int}"))], {"model": "junk"}),
    "an analyzer that raises": ([("pack", hook("analyzers", "{'raises': Raises}", RAISES))], {"analyzers": ["raises"]}),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_said(name: str, install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.chdir(tmp_path)
    packs, overrides, *left_out = TABLE[name]
    for pack in packs:
        named, source, version, distribution = (*pack, *("1.0", "")[len(pack) - 2 :])
        install(named, source, distribution, version)
    said = []
    try:
        mg.run("names", SHORT | overrides, plugins=left_out)
    except MicrogptError as error:
        said.append(f"error: {error}")
    found = "\n".join([*(m for m in caplog.messages if "impl" not in m.partition("(")[0]), *said])
    assert re.sub(r"[^ (]*[/\\](microgpt_\w+\.py)", r"\1", found) == SAID[name].strip("\n")


def test_every_problem_has_its_words() -> None:
    assert set(SAID) == set(TABLE)
