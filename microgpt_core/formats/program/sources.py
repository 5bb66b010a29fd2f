"""The sources of functions, taken from their files with all that they need, as one piece of Python.

A function brings what it calls, and the constants and imports that this uses, from whichever modules they are in. Type
annotations are left out, since most of what they name isn't brought. Names that meet are told apart by a number.
"""

import ast
import builtins
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any, TypeAlias

from microgpt_core.errors import ConfigurationError
from microgpt_core.formats.program.module_source import (
    Edit,
    Import,
    ModuleSource,
    bound,
    children,
    is_python_s,
    locals_of,
    span,
)

LITERAL = (bool, int, float, str, bytes, tuple, type(None))
FOR_TOOLS = re.compile(r" +# (fmt|type|noqa|pragma)\b.*$", re.MULTILINE)
SHORT_NOW = re.compile(r"^( *def \w+)\(\n +([^\n#]{1,90}?),?\n *\):")  # a signature that fits a line without types
Names: TypeAlias = frozenset[str]


@dataclass
class Sources:
    """A program in the making. `given` are the names that it has from elsewhere."""

    given: Names
    imports: set[str] = field(default_factory=set)
    definitions: dict[str, str] = field(default_factory=dict)  # by name, each after those that it needs
    names: dict[tuple[str, str], str] = field(default_factory=dict)  # (module, name there) -> name in the program
    modules: dict[str, ModuleSource] = field(default_factory=dict)
    shown: int = 0

    def bring(self, module: str, name: str) -> str:
        """Bring what a module calls `name`, once. Returns the program's name for it.

        Raises ConfigurationError where it isn't Python, or needs more than the standard library.
        """
        if name in self.given and module.startswith(f"{__package__}."):
            return name
        if (module, name) not in self.names:
            self.names[module, name] = self._bring(module, name)
        return self.names[module, name]

    def bring_method(self, cls: type, name: str, called: str) -> str:
        """Bring a method as a function without `self`, called `called` if that is free."""
        method = inspect.getattr_static(cls, name)
        module, path = method.__module__, method.__qualname__
        if (module, path) not in self.names:
            node = self._module(module).inside(path)
            if node is None:
                raise ConfigurationError(
                    f"{path} isn't in a class at the top of {module}, so its source can't be taken"
                )
            self.names[module, path] = self.free(called)
            self._define(self._module(module), node, self.names[module, path], cls)
        return self.names[module, path]

    def _module(self, name: str) -> ModuleSource:
        if name not in self.modules:
            self.modules[name] = ModuleSource(name)
        return self.modules[name]

    def new_definitions(self) -> list[str]:
        """Those that were brought since this was last asked."""
        new = list(self.definitions.values())[self.shown :]
        self.shown += len(new)
        return new

    @property
    def taken(self) -> Names:
        """The names that mean something in the program, or in any."""
        return self.given.union(self.names.values(), self.definitions, dir(builtins))

    def free(self, name: str) -> str:
        """The name, with a number behind it where it is taken."""
        taken = self.taken
        return next(n for n in (name, *(f"{name}_{i}" for i in range(2, 999))) if n not in taken)

    def _bring(self, module: str, name: str) -> str:
        source = self._module(module)
        found = source.binding(name)
        if found is None:
            raise ConfigurationError(f"{module}: no plain statement at the top of the file says what {name!r} is")
        statement, condition = found
        if isinstance(statement, Import) and condition is None:
            return self._bring_import(source, name, statement)
        called = self.names[module, name] = self.free(name)  # before its own lines, which may name it
        if condition is None:
            self._define(source, statement, called)
        else:
            self._define_either_way(source, condition, name, called)
        return called

    def _bring_import(self, module: ModuleSource, name: str, statement: Import) -> str:
        alias = next(a for a in statement.names if (a.asname or a.name.partition(".")[0]) == name)
        source = module.origin(statement, alias)
        if not is_python_s(source):
            if isinstance(statement, ast.Import) or not module.is_kin(source):
                raise ConfigurationError(f"{module.name} needs {source}, which isn't in Python's standard library")
            return self.bring(source, alias.name)
        plain = (
            f"from {source} import {alias.name}" if isinstance(statement, ast.ImportFrom) else f"import {alias.name}"
        )
        written = f"{plain} as {alias.asname}" if alias.asname else plain
        called = name if written in self.imports else self.free(name)
        self.imports.add(written if called == name else f"{plain} as {called}")
        return called

    def _define(self, module: ModuleSource, node: ast.AST, called: str, cls: type | None = None) -> None:
        text = dedent(self._text(module, node, called, cls))  # what it needs is defined meanwhile, so before it
        self.definitions[called] = text

    def _define_either_way(self, module: ModuleSource, condition: ast.If, name: str, called: str) -> None:
        """What is one thing or another, `if sys.version_info >= (3, 12):` say."""
        for _ in self._needed(module, condition.test, frozenset(), None):
            raise ConfigurationError(f"{module.name}: the condition for {name!r} can't be taken over")
        lines = [module.lines[condition.lineno - 1].decode().rstrip()]
        for i, branch in enumerate((condition.body, condition.orelse)):
            lines += ["else:"] * i
            lines += [self._text(module, s, called, None) for s in branch if name in bound(s)]
        self.definitions[called] = "\n".join(lines)

    def _text(self, module: ModuleSource, node: Any, called: str, cls: type | None) -> str:
        """A statement's lines, with everything that it needs brought before it."""
        edits = [*self._needed(module, node, frozenset(), cls), *module.unannotated(node)]
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name != called:
            column = node.col_offset + len("def " if isinstance(node, ast.FunctionDef) else "class ")
            edits.append(((node.lineno, column), (node.lineno, column + len(node.name)), called))
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = [n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            edits += [(*span(n), called) for n in targets if len(targets) == 1 and n.id != called]
        if cls is not None:
            itself, following = node.args.args[0], [*node.args.args[1:], *node.args.kwonlyargs]
            edits.append((span(itself)[0], span(following[0])[0] if following else span(itself)[1], ""))
        text = FOR_TOOLS.sub("", module.edited(node, list(dict.fromkeys(edits))))
        return SHORT_NOW.sub(r"\1(\2):", text)

    def _needed(self, module: ModuleSource, node: ast.AST, local: Names, cls: type | None) -> Iterator[Edit]:
        """Bring each name that is read in a statement; the edits that write it as the program does."""
        local |= locals_of(node)
        if isinstance(node, Import):
            for source in [module.origin(node, alias) for alias in node.names]:
                if not is_python_s(source):
                    raise ConfigurationError(f"{module.name} imports {source} inside a function; import it at the top")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (there := self._attribute(module, node.value.id, node.attr, local, cls)) is not None:
                yield *span(node), there
                return
        elif isinstance(node, ast.Name) and node.id not in local and isinstance(node.ctx, ast.Load):
            builtin = hasattr(builtins, node.id) and not module.binding(node.id)
            if not builtin and (found := self.bring(module.name, node.id)) != node.id:
                yield *span(node), found
        for child in children(node):
            yield from self._needed(module, child, local, cls)

    def _attribute(self, module: ModuleSource, owner: str, name: str, local: Names, cls: type | None) -> str | None:
        """What `self.slope`, `self.bend` or, after `import microgpt_core as mg`, `mg.exp` is in the program."""
        if cls is not None and owner == "self":
            value = inspect.getattr_static(cls, name, self)
            if inspect.isfunction(value):
                return self.bring_method(cls, name, name)
            if not isinstance(value, LITERAL):
                raise ConfigurationError(f"{cls.__name__} uses self.{name}, which is no plain value of its class")
            return repr(value)
        statement, _ = module.binding(owner) or (None, None)
        if owner not in local and isinstance(statement, ast.Import):
            source = next(a.name for a in statement.names if owner in (a.asname, a.name.partition(".")[0]))
            return self.bring(source, name) if module.is_kin(source) else None
        return None
