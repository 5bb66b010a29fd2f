"""What the source says of a public name: signatures and docstrings. Read, not imported, so that it is the same
whatever the Python version and whatever has been changed on the way.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

PACKAGE = "microgpt_core"
CONSTRUCTOR = "__init__"
PLUMBING = {"__init_subclass__", "__post_init__", "__repr__", "__str__"}  # special methods that nobody calls by design


@dataclass(frozen=True)
class Line:
    """One name and what it is: `Analyzer.report() -> Mapping[str, Any]`."""

    name: str  # "Analyzer.report"
    text: str
    doc: str


@dataclass(frozen=True)
class Definition:
    """The statement that makes a name, and the file that it is in."""

    name: str
    module: str
    node: ast.stmt
    source: list[str]  # the file's lines

    @property
    def doc(self) -> str:
        return doc_of(self.node, self.source)

    @property
    def bases(self) -> list[str]:
        """Of a class: what it inherits from, as written."""
        return [ast.unparse(base) for base in self.node.bases] if isinstance(self.node, ast.ClassDef) else []

    def lines(self) -> Iterator[Line]:
        """The name itself, then a class's public attributes and methods in their order."""
        if not isinstance(self.node, ast.ClassDef):
            yield Line(self.name, signature(self.name, self.node), self.doc)
            return
        inherits = f"({', '.join(self.bases)})" if self.bases else ""
        yield Line(self.name, f"{decorators(self.node)}class {self.name}{inherits}", self.doc)
        for member in self.node.body:
            if (name := named(member)) and is_public(name, member):
                full = self.name if name == CONSTRUCTOR else f"{self.name}.{name}"
                yield Line(full, signature(full, member), doc_of(member, self.source))


def find(root: Path, module: str, name: str) -> Definition:
    """Where a name of a module is defined, through whatever imports. Raises LookupError."""
    path = root / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = file.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find(root, str(node.module), alias.name)
        elif isinstance(node, ast.stmt) and named(node) == name:
            return Definition(name, module, node, text.splitlines())
    raise LookupError(f"{module} has no {name}")


def is_public(name: str, node: ast.stmt) -> bool:
    """Whether a class shows this member: `_x` is hidden; `__add__`, a method, isn't."""
    special = name.startswith("__") and name.endswith("__") and isinstance(node, ast.FunctionDef)
    return name not in PLUMBING if special else not name.startswith("_")


def named(node: ast.stmt) -> str:
    """The name that a statement makes, if it makes one."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    target = (
        node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
    )
    return target.id if isinstance(target, ast.Name) else ""


def signature(name: str, node: ast.stmt) -> str:
    """`name(x: int) -> str`, `name: int = 3`, on one line."""
    if isinstance(node, ast.FunctionDef):
        returns = ast.unparse(node.returns) if node.returns else ""
        if "property" in decorators(node):
            return f"{name}: {returns}"
        arguments = re.sub(r"^(self|cls)(, /)?(, )?", "", ast.unparse(node.args))
        return f"{decorators(node)}{name}({arguments}){f' -> {returns}' if node.name != CONSTRUCTOR else ''}"
    if isinstance(node, ast.AnnAssign):
        value = f" = {ast.unparse(node.value)}" if node.value else ""
        return f"{name}: {ast.unparse(node.annotation)}{value}"
    return f"{name} = {ast.unparse(node.value)}" if isinstance(node, ast.Assign) else name


def decorators(node: ast.FunctionDef | ast.ClassDef) -> str:
    """`@classmethod `: what changes how a function is called, or what a class is."""
    written = [ast.unparse(decorator) for decorator in node.decorator_list]
    return "".join(f"@{one} " for one in written if one != "abstractmethod")


def doc_of(node: ast.stmt, source: list[str]) -> str:
    """A docstring; of an attribute, the comment beside or above it."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return cleandoc(ast.get_docstring(node) or "")
    if beside := source[(node.end_lineno or node.lineno) - 1][node.end_col_offset or 0 :].partition("# ")[2]:
        return beside
    above = []
    for line in reversed(source[: node.lineno - 1]):
        if not line.strip().startswith("# "):
            break
        above.insert(0, line.strip().removeprefix("# "))
    return " ".join(above)
