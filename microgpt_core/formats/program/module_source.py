"""A module as text and syntax: which statement gives a name its meaning, and a statement's lines with some edits."""

import ast
import sys
import tokenize
from collections.abc import Iterator
from importlib import import_module
from importlib.util import resolve_name
from typing import Any, TypeAlias

from microgpt_core.errors import ConfigurationError

Import = ast.Import | ast.ImportFrom
SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Place: TypeAlias = tuple[int, int]  # line and column, in bytes
Edit: TypeAlias = tuple[Place, Place, str]  # from here to there: this instead


class ModuleSource:
    """One module's source. Raises ConfigurationError where it has none in Python."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            module = sys.modules.get(name) or import_module(name)
            self.package = module.__package__ or ""
            with tokenize.open(str(module.__file__)) as file:  # in the encoding that it says
                text = file.read()
            self.tree = ast.parse(text)
        except (ImportError, AttributeError, OSError, SyntaxError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{name} has no source in Python that can be read; put it into a file") from error
        self.lines = [line.encode() for line in text.splitlines(keepends=True)]

    def binding(self, name: str) -> tuple[ast.stmt, ast.If | None] | None:
        """The statement that gives a name its meaning, and the condition around it, unless it is for type checkers."""
        for statement in self.tree.body:
            if isinstance(statement, ast.If):
                only_typed = ast.unparse(statement.test) == "TYPE_CHECKING"
                for inside in [*statement.orelse, *statement.body] if only_typed else statement.body:
                    if name in bound(inside):
                        return inside, None if only_typed else statement
            elif name in bound(statement):
                return statement, None
        return None

    def inside(self, path: str) -> ast.AST | None:
        """What is found at `Mish.f`, a method in a class at the top of the file."""
        node: Any = self.tree
        for step in path.split("."):
            node = next((n for n in getattr(node, "body", []) if getattr(n, "name", "") == step), None)
        return node  # type: ignore[no-any-return]

    def origin(self, statement: Import, alias: ast.alias) -> str:
        """The module that `import math`, or `from .softplus import x`, takes from."""
        if isinstance(statement, ast.Import):
            return alias.name
        return resolve_name("." * statement.level + (statement.module or ""), self.package)

    def is_kin(self, source: str) -> bool:
        """Whether a module is the core's, or of the same package: what may be copied."""
        return source.partition(".")[0] in ("microgpt_core", self.name.partition(".")[0])

    def edited(self, node: Any, edits: list[Edit]) -> str:
        """The lines of a statement with some parts replaced."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        text = b"".join(self.lines[first - 1 : node.end_lineno]).rstrip()

        def offset(place: Place) -> int:
            return sum(map(len, self.lines[first - 1 : place[0] - 1])) + place[1]

        for start, end, instead in sorted(edits, reverse=True):
            text = text[: offset(start)] + instead.encode() + text[offset(end) :]
        return text.decode()

    def unannotated(self, node: ast.AST) -> Iterator[Edit]:
        """The edits that leave out annotations. Those of a class's fields stay: a dataclass needs them."""
        for part in ast.walk(node):
            if isinstance(part, ast.AnnAssign) and part.value and part.col_offset == getattr(node, "col_offset", 0):
                yield span(part.target)[1], span(part.annotation)[1], ""
            if isinstance(part, ast.FunctionDef):
                yield from unannotated_arguments(part.args)
                yield from self._unannotated_result(part)
                for inner in (n for s in part.body for n in ast.walk(s) if isinstance(n, ast.AnnAssign) and n.value):
                    yield span(inner.target)[1], span(inner.annotation)[1], ""

    def _unannotated_result(self, function: ast.FunctionDef) -> Iterator[Edit]:
        if function.returns:
            line, end = function.returns.lineno, span(function.returns)[1]
            before = self.lines[line - 1][: function.returns.col_offset]
            yield (line, before.rindex(b")") + 1), end, ""


def unannotated_arguments(args: ast.arguments) -> Iterator[Edit]:
    positional = [*args.posonlyargs, *args.args]
    defaults = dict(zip(positional[::-1], args.defaults[::-1])) | dict(zip(args.kwonlyargs, args.kw_defaults))
    for arg in (*positional, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))):
        if arg.annotation:
            start, default = (arg.lineno, arg.col_offset + len(arg.arg.encode())), defaults.get(arg)
            yield start, span(default)[0] if default else span(arg.annotation)[1], "=" if default else ""


def bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top of a module gives a meaning."""
    if isinstance(statement, Import):
        return {a.asname or a.name.partition(".")[0] for a in statement.names}
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return set()


def is_python_s(module: str) -> bool:
    """Whether it is in the standard library."""
    return module.partition(".")[0] in sys.stdlib_module_names


def locals_of(scope: ast.AST) -> set[str]:
    """The names that a function, or a comprehension, gives a meaning inside of it."""
    found: set[str] = set()
    for node in ast.walk(scope) if isinstance(scope, SCOPES) else ():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.ExceptHandler | ast.FunctionDef) and node.name and node is not scope:
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, Import):
            found |= bound(node)
    return found


def span(node: Any) -> tuple[Place, Place]:
    """Where a part of a statement begins and ends."""
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a statement, without annotations that are left out."""
    for name, value in ast.iter_fields(node):
        if name not in ("returns", "annotation"):
            yield from (part for part in (value if isinstance(value, list) else [value]) if isinstance(part, ast.AST))
    if isinstance(node, ast.ClassDef):
        yield from (s.annotation for s in node.body if isinstance(s, ast.AnnAssign))
