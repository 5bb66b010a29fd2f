"""The same component in another Python process, whose sets and dicts of strings have another order.

    python -m microgpt_core.testing.other_process < request.json

imports the class, makes it, calls one of this package's functions with it, and prints what that returns as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from importlib import import_module, util
from types import ModuleType
from typing import Any

from microgpt_core.testing.report import NotTested

TIMEOUT = 60.0  # seconds
INSIDE = "MICROGPT_TESTING_OTHER_PROCESS"  # in the environment of such a process


def ask(function: Callable[..., Any], component: Any, *arguments: Any, hash_seed: int) -> Any:
    """What `function(component, *arguments)` returns in a process with another hash seed.

    Raises NotTested where the class can't be imported there: it was made inside a function, at a prompt, or in the
    program that is running; and in such a process, whose import of the class may have led here again.
    """
    cls, module = type(component), sys.modules[type(component).__module__]
    file = getattr(module, "__file__", None)
    if "<locals>" in cls.__qualname__ or file is None or module.__name__ == "__main__" or INSIDE in os.environ:
        raise NotTested(f"{cls.__qualname__} can't be imported in another process; define it in a module of its own")
    request = {
        "path": sys.path, "component": described(component),
        "function": [function.__module__, function.__name__], "arguments": arguments,
    }  # fmt: skip
    command = [sys.executable, "-m", __name__]
    path = os.pathsep.join(filter(None, sys.path))
    answer = subprocess.run(
        command,
        input=json.dumps(request, default=described),
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": path, INSIDE: "1"},
        timeout=TIMEOUT,
    )
    if answer.returncode:
        raise RuntimeError(f"in another process: {answer.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(answer.stdout.rpartition("\n")[2])


def described(value: Any) -> Any:
    """A component as JSON has it, and those in its fields; anything else that JSON hasn't got as a text."""
    cls, module = type(value), sys.modules[type(value).__module__]
    fields_of = {f.name: getattr(value, f.name) for f in fields(cls) if f.init} if is_dataclass(cls) else {}
    if not is_dataclass(cls) and not hasattr(cls, "name"):
        return str(value)
    return {"module": module.__name__, "file": module.__file__, "class": cls.__qualname__, "fields": fields_of}


def made(described: Any) -> Any:
    """The component that was described, from the inside out."""
    if isinstance(described, list):
        return [made(item) for item in described]
    if not isinstance(described, dict) or "class" not in described:
        return described
    component: Any = load(described["module"], described["file"])
    for name in described["class"].split("."):
        component = getattr(component, name)
    return component(**{name: made(value) for name, value in described["fields"].items()})


def answer(request: dict[str, Any]) -> Any:
    sys.path[:] = request["path"]
    module, function = request["function"]
    return getattr(import_module(module), function)(made(request["component"]), *request["arguments"])


def load(name: str, file: str) -> ModuleType:
    """A module by its name, or by its file where that is how it was loaded: a pack in one file, a test."""
    try:
        importable = util.find_spec(name) is not None
    except ImportError:  # not even its package is there
        importable = False
    if importable:
        return import_module(name)
    spec = util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(answer(json.load(sys.stdin))))
