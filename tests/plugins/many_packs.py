"""Fifty broken packs of every kind, and fifty good ones, as installers leave them: no installer is needed."""

from pathlib import Path

HEAD = "from microgpt_core.hookspecs import hookimpl\n"


def hook(kind: str, returned: str) -> str:
    return f"{HEAD}@hookimpl\ndef microgpt_{kind}(): return {returned}\n"


# Kind -> what its module says. `{i}` is the pack's number.
BROKEN = {
    "import error": "import no_such_module_{i}",
    "syntax error": "def f(:",
    "exit": "import sys; sys.exit(3)",
    "output": "import sys\nprint('hello', {i})\nprint('there', file=sys.stderr)\n" + hook("datasets", "{{}}"),
    "wrong hook": hook("tokenizer", "{{}}"),
    "wrong signature": HEAD + "@hookimpl\ndef microgpt_ops(config): return {{}}",
    "raising hook": HEAD + "@hookimpl\ndef microgpt_ops(): raise RuntimeError('no ops today')",
    "junk": hook("tokenizers", "[1, 2]"),
    "missing class": hook("datasets", "{{'lost{i}': 'broken_{i:02}:Missing'}}"),
    "duplicate name": hook("tokenizers", "{{'char': 'broken_{i:02}:Char'}}"),
    "other API": "raise SystemError('imported')",
    "endless": "import time\nwhile True: time.sleep(1)",
}
GOOD = (
    hook("tokenizers", "{{'good{i}': Good}}")
    + "from microgpt_core.components import Tokenizer\nclass Good(Tokenizer): name = 'good{i}'\n"
)


def kind_of(i: int) -> str:
    """The kind of the broken pack number i: every kind comes in turn."""
    return list(BROKEN)[i % len(BROKEN)]


def write_pack(site: Path, name: str, i: int, source: str, group: str = "microgpt.plugins.v1") -> None:
    """The module `name_07` and the metadata of its distribution microgpt-name-07 1.7, with a pack name-07."""
    (site / f"{name}_{i:02}.py").write_text(source.format(i=i), encoding="utf-8")
    info = site / f"microgpt_{name}_{i:02}-1.{i}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: microgpt-{name}-{i:02}\nVersion: 1.{i}\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name}-{i:02} = {name}_{i:02}\n", encoding="utf-8")


def write_packs(site: Path, broken: int, good: int) -> Path:
    site.mkdir()
    for i in range(broken):
        group = "microgpt.plugins.v2" if kind_of(i) == "other API" else "microgpt.plugins.v1"
        write_pack(site, "broken", i, BROKEN[kind_of(i)], group)
    for i in range(good):
        write_pack(site, "good", i, GOOD)
    return site
