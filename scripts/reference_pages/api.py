"""The Python API: every public name with its signature. By this page a change of it is noticed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from reference_pages import ROOT, page_top
from reference_pages.source import Definition, find

ABOUT = """\
Every public name, with its signature and its docstring's first line. What isn't here may move.
`ops` has a page [of its own](ops.md); so have [the hooks](hooks.md), [the YAML keys](components.md) and
[the commands](commands.md). What may change and when is said in [Stability](../explanation/stability.md)."""

# Module -> what it is for, and its public names; None: those of its `__all__`.
MODULES: dict[str, tuple[str, list[str] | None]] = {
    "microgpt_core": ("The engine: `import microgpt_core as mg`.", None),
    "microgpt_core.components": ("What components are written with.", None),
    "microgpt_core.components.peer": ("What a peer's methods return.", ["Training", "Generation"]),
    "microgpt_core.hookspecs": (
        "What a pack's hooks are marked with; each hook is on [its page](hooks.md).",
        ["hookimpl", "Components", "API", "GROUP"],
    ),
    "microgpt_core.testing": ("What authors test their components with.", None),
    "microgpt_core.errors": (
        "What is raised on purpose. Raise DataError, CheckpointError or ConfigurationError in a component of yours.",
        [
            "MicrogptError", "ConfigurationError", "UnknownNameError", "DataError", "SignatureError", "ShapeError",
            "CaptureError", "StaleError", "CheckpointError", "NonFiniteError", "DoesNotFitError", "StorageError",
        ],
    ),
    "microgpt_core.models.parts.part": ("What models are made of.", ["Part", "Parameter"]),
    "microgpt_core.models.parts.embedding": ("", ["Embedding"]),
    "microgpt_core.models.parts.linear": ("", ["Linear"]),
    "microgpt_core.pipeline.runs.run": ("What `mg.run` returns, and a stage gets.", ["Run", "Reporter"]),
    "microgpt_core.testing.report": ("What the functions of `microgpt_core.testing` return.", ["Report", "Result"]),
}  # fmt: skip
ELSEWHERE = {"__version__", "ops"}
SIGNATURE = re.compile(r"(?:@[\w.]+(?:\([^)]*\))? )*(?:class )?([\w.]+)")  # a name, behind what decorates it

ADDED = "asks for a minor version"
BROKEN = (
    "asks for a major version, or keep it and deprecate it first: docs/explanation/stability.md "
    "(before 1.0.0: a minor version, and a line under Changed or Removed in CHANGELOG.md)"
)


def page(root: Path = ROOT) -> str:
    """The page, of the package below a folder."""
    parts, shown = [page_top("The Python API", ABOUT)], dict[tuple[str, str], str]()
    for module in MODULES:
        here, again = [], []
        for definition in definitions(root, module):
            key = (definition.module, definition.name)
            (again if key in shown else here).append(definition)
            shown.setdefault(key, module)
        parts.append(f"## {module}\n\n{MODULES[module][0]}\n".replace("\n\n\n", "\n"))
        if again:
            names = ", ".join(definition.name for definition in again)
            parts.append(f"Also here, as above:\n\n```text\nimport {names}\n```\n")
        parts += map(entry, here)
    return "\n".join(parts)


def definitions(root: Path, module: str) -> Iterator[Definition]:
    """A module's public names, sorted as a person looks for them."""
    for name in sorted(public_names(root, module), key=lambda name: (name.lower(), name)):
        yield find(root, module, name)


def public_names(root: Path, module: str) -> set[str]:
    """What the table says, or what the module itself imports in order to show it."""
    if names := MODULES[module][1]:
        return set(names)
    text = (root / module.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if (node.module or "").startswith("microgpt_core")]
    return {alias.asname or alias.name for node in ours for alias in node.names} - ELSEWHERE


def entry(definition: Definition) -> str:
    doc = definition.doc.partition("\n")[0]
    signatures = "\n".join(line.text for line in definition.lines())
    return "\n\n".join(filter(None, [f"### {definition.name}", doc, f"```text\n{signatures}\n```\n"]))


def changes(before: str, after: str) -> list[str]:
    """What one page has and the other hasn't: a line for each public name that came, went or changed."""
    old, new = surface(before), surface(after)
    found = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            found.append(f"added    {name}: {new[name]}\n         {ADDED}")
        elif name not in new:
            found.append(f"removed  {name}: {old[name]}\n         {BROKEN}")
        elif old[name] != new[name]:
            found.append(f"changed  {name}: {old[name]}\n         now      {new[name]}\n         {BROKEN}")
    return found


def surface(page: str) -> dict[str, str]:
    """The page's signatures by the full name: `microgpt_core.run`, `microgpt_core.Analyzer.report`."""
    found, module, fenced = dict[str, str](), "", False
    for line in page.splitlines():
        if line.startswith("## "):
            module = line[3:]
        elif line.startswith("```"):
            fenced = line == "```text"
        elif fenced and line.startswith("import "):
            found |= {f"{module}.{name}": "what it is above" for name in line[7:].split(", ")}
        elif fenced and (name := re.match(SIGNATURE, line)):
            full = f"{module}.{name[1]}"
            found[full] = f"{found[full]}; {line}" if full in found else line  # a class, and how it is made
    return found
