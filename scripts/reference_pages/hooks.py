"""Hooks: what a pack can bring, of each hook the base class, who uses it, who checks it, and an example."""

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from microgpt_core import hookspecs
from microgpt_core.cli.plugins import signature_of
from microgpt_core.plugins.discovery import COMMAND_GROUP
from microgpt_core.plugins.hooks import HOOKS
from microgpt_core.plugins.kinds import BASES, KINDS, Kind
from microgpt_core.plugins.one_file import read_file
from microgpt_core.plugins.pack import Pack
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.scaffold import KINDS_OF_PACKS
from microgpt_core.testing.components import component_checks
from reference_pages import ROOT, page_top
from reference_pages.components import core
from reference_pages.source import PACKAGE, find

EXAMPLES = Path(__file__).resolve().parents[1] / "hook_examples"  # a module of hooks for each kind; tests use them too

# Kind -> what a pipeline (or a command) says to use the example's component. No run uses a peer.
USES = {
    "ops": "model.activation=cube",
    "kernels": "backend=lists",
    "backends": "backend=in-bytes",
    "tokenizers": "tokenizer=octets",
    "datasets": "dataset=sums",
    "transforms": "transforms=[shout]",
    "optimizers": "optimizer=heavy-ball",
    "schedules": "schedule=halving",
    "models": "model=bigram",
    "analyzers": "analyzers=[largest]",
    "callbacks": "callbacks=[after-tokens]",
    "formats": "export.format=lines stages=[train,export]",
    "stages": "stages=[train,report]",
    "passes": "passes=[weights8]",
}
YAML = {
    "ops": "`model: {activation: NAME}`, or another field that is a slot",
    "kernels": "`backend: BACKEND`, or for one op `kernels: {OP: BACKEND}`",
    "backends": "`backend: NAME`, or several in order, `backend: [NAME, reference]`",
    "transforms": "`transforms: [NAME]`, or with its fields `transforms: [{use: NAME, FIELD: VALUE}]`",
    "analyzers": "`analyzers: [NAME]`, or with its fields `analyzers: [{use: NAME, FIELD: VALUE}]`",
    "callbacks": "`callbacks: [NAME]`, or with its fields `callbacks: [{use: NAME, FIELD: VALUE}]`",
    "formats": "`export: {format: NAME}` with the stage `export`, and `microgpt export MODEL --format NAME`",
    "stages": "`stages: [train, NAME]`",
    "passes": "`passes: [NAME]`, or several in order; a backend's own by themselves",
    "peers": "nothing: a benchmark names it, `--against NAME`",
}
# What the components of a kind subclass; models lie above the loader, which can't check them.
BASE_CLASSES = {kind: [base.__name__] for kind, base in BASES.items() if base} | {
    "ops": ["Op", "Unary"],
    "models": ["Model"],
}
LOADING = """\
Packs are loaded in the order of their distributions' names, each by itself, and taken in whole or not at all: one that
fails costs a warning, and is an error only for a pipeline that uses it. A class that a hook names as a string is
checked when it is first used. `microgpt plugins hooks` prints the list of the hooks. Which base class you need is said
on [a page of its own](../how-to/choose-a-base-class.md), what may change and when in
[Stability](../explanation/stability.md)."""
ABOUT_COMMANDS = f"""\
## Commands

A command is a component that is no hook: an entry point of its own, so that `microgpt --help` lists it and imports
nothing. It is a [click](https://click.palletsprojects.com) command:

```toml
[project.entry-points."{COMMAND_GROUP}"]
count = "microgpt_count.commands:command"
```

The core's names can't be taken, two packs with the same name are an error that names both, and where the pack is left
out (`--no-plugin`, `MICROGPT_PLUGINS`) so is the command. Nothing is checked before it is called; then it has to be a
click command. An example:

"""


def page() -> str:
    registry, about = core(), cleandoc(hookspecs.__doc__ or "")
    parts = [page_top("Hooks", f"{indented_as_fence(about)}\n\n{LOADING}")]
    parts += [section(hook, KINDS[kind], registry) for hook, kind in HOOKS.items()]
    return "\n".join([*parts, ABOUT_COMMANDS + example("commands")])


def indented_as_fence(text: str) -> str:
    """A docstring's indented lines as a fenced block, which tells the language."""
    return re.sub(r"(?m)(?:^    .*\n)+", lambda block: f"```toml\n{cleandoc(block[0])}\n```\n", text)


def section(hook: str, kind: Kind, registry: Registry) -> str:
    """One hook, from what it is to how it is tried."""
    doc = cleandoc(getattr(hookspecs, hook).__doc__ or "")
    doc = re.sub(r"Example: `return (.*)`\.", r"It returns, say, `\1`.", doc)
    signature = f"```text\n{hook}{signature_of(getattr(hookspecs, hook))}\n```\n"
    facts = "".join(f"| {name} | {value} |\n" for name, value in about(kind, registry))
    parts = [f"## {hook}\n", signature, f"{doc}\n", f"| | |\n|---|---|\n{facts}", *members(kind)]
    return "\n".join([*parts, "An example:\n", example(kind.name), use(kind)])


def about(kind: Kind, registry: Registry) -> Iterator[tuple[str, str]]:
    """The rows of a hook's table."""
    long_form = f"`{kind.one}: {{use: NAME, FIELD: VALUE}}`"
    yield "in YAML", YAML.get(kind.name, f"`{kind.one}: NAME`, or with its fields {long_form}")
    expected = (kind.mismatch(None) or "").removeprefix("expected ").partition(", found")[0]
    instance = ", or an instance of one" if kind.name == "ops" else ""
    form = "`backend/op`" if kind.name == "kernels" else "lower-case letters, digits, `-` `_` `.`"
    yield "checked at loading", f"the name ({form}); that it is {expected}{instance}"
    yield "in one file", "found by itself" if kind.base else "by the hook, in the same file"
    yield "of the core", ", ".join(f"`{name}`" for name in registry.names(kind.name)) or "none"
    name = "BACKEND/OP" if kind.name == "kernels" else "NAME"
    yield "made by", f"`microgpt plugins new {kind.one} {name}`" if kind.one in KINDS_OF_PACKS else "hand"
    yield "tried by `plugins test`", ", ".join(f"`{name}`" for name in check_names(kind))


def check_names(kind: Kind) -> list[str]:
    """The conformance checks of the example's component."""
    registry, pack = core(), read_example(kind.name)
    registry.add(pack)
    (name,) = pack.components[kind.name]
    return [check.name for check in component_checks(pack, registry, kind.name, name)]


def read_example(name: str) -> Pack:
    """The pack that an example is."""
    return read_file(EXAMPLES / f"{name}.py")


def members(kind: Kind) -> Iterator[str]:
    """The base classes, and what each asks of a subclass or gives it."""
    for name in BASE_CLASSES.get(kind.name, ()):
        definition = find(ROOT, PACKAGE, name)
        lines = [line for line in definition.lines() if "__" not in line.name][1:]
        bullets = "\n".join(f"* `{line.text.replace(f'{name}.', '', 1)}`{said(line.doc)}" for line in lines)
        yield f"### {name}\n\n`from {PACKAGE} import {name}`. {definition.doc}\n\n{bullets}\n"


def said(doc: str) -> str:
    """A member's docstring on one line."""
    return f": {' '.join(doc.split())}" if doc else ""


def example(name: str) -> str:
    return f"<!-- file: {name}.py -->\n```python\n{(EXAMPLES / f'{name}.py').read_text(encoding='utf-8')}```\n"


def use(kind: Kind) -> str:
    """The command that uses the example. The documentation's tests run it."""
    if kind.name not in USES:
        return f"```console\n$ microgpt plugins test ./{kind.name}.py\n...\n```\n"
    given = [
        f'"{setting}"' if "[" in setting else setting for setting in (*USES[kind.name].split(), "train.max_steps=2")
    ]
    settings = " ".join(f"--set {setting}" for setting in given)
    return f"```console\n$ microgpt run names --plugin ./{kind.name}.py {settings}\n...\n```\n"
