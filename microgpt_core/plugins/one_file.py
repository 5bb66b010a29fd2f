"""A pack in one file: `--plugin ./mish.py` runs the file and takes every component that it defines.

Hooks aren't needed: a subclass of Op, Tokenizer, ... is registered under its `name`. A class whose own name
starts with `_` is left alone.
"""

import re
import sys
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from microgpt_core.components import Op
from microgpt_core.plugins.hooks import answers, check_component, checked, declared, deprecated
from microgpt_core.plugins.kinds import KINDS
from microgpt_core.plugins.pack import Pack, PluginError


def read_file(path: str | Path) -> Pack:
    """The pack in a file. Raises PluginError, with the file's line where there is one."""
    path = Path(path)
    if not path.is_file():
        raise PluginError(f"--plugin {path}: no such file")
    if path.suffix != ".py":
        raise PluginError(f"--plugin {path}: expected a Python file, its name ending in .py")
    module = run(path)
    manager = declared(module)
    components = checked(answers(manager))
    for kind, name, cls in defined(module, path):
        components.setdefault(kind, {})[name] = cls
    if not components:
        raise PluginError(f"--plugin {path}: it defines no op, tokenizer or other component")
    name = re.sub(r"[^a-z0-9_.-]", "-", path.stem.lower())
    return Pack(name, str(path), components=components, deprecated=deprecated(manager))


def run(path: Path) -> ModuleType:
    """The file as a module. It stays in sys.modules, where dataclasses and pickled errors look for it."""
    name = f"microgpt_plugin_{path.stem}"
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = str(path)
    try:
        # Not through the import system: its cache takes a file of the same size and second for unchanged.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the file raises
        del sys.modules[name]
        raise PluginError(f"{place(path, error)}: {type(error).__name__}: {error}") from error
    return module


def place(path: Path, error: BaseException) -> str:
    """`mish.py:9`: the last line of the file that an exception went through."""
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}"
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if Path(frame.filename).name == path.name]
    return f"{path}:{lines[-1]}" if lines else str(path)


def defined(module: ModuleType, path: Path) -> list[tuple[str, str, Any]]:
    """(kind, name, class) of every component that the module itself defines."""
    found = []
    for cls in vars(module).values():
        if not isinstance(cls, type) or cls.__module__ != module.__name__ or cls.__name__.startswith("_"):
            continue
        for kind in KINDS.values():
            if kind.base and issubclass(cls, kind.base) and (hasattr(cls, "signature") or kind.base is not Op):
                found.append((kind.name, name_of(cls, path), cls))
                check_component(kind, *found[-1][1:])
    return found


def name_of(cls: Any, path: Path) -> str:
    if isinstance(name := getattr(cls, "name", None), str):
        return name
    raise PluginError(f"{path}: class {cls.__name__} has no name; add: name = {cls.__name__.lower()!r}")
