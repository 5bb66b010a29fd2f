"""The house keeps its shape: names that say something, floors, the five dependencies, simple functions, clean files.

Every check is a function from a file to what is wrong with it, run over all files and over planted bugs.
"""

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "microgpt_core"
MODULES = sorted(file.relative_to(ROOT).as_posix() for file in PACKAGE.rglob("*.py"))

DEPENDENCIES = {"pluggy>=1.6", "click>=8.1", "PyYAML>=6", "pydantic>=2", "rich>=13"}
IMPORTABLE = {
    "pluggy",
    "click",
    "yaml",
    "pydantic",
    "pydantic_core",
    "rich",
}  # what the five bring, as `import` spells it
MAY_IMPORT_THEM = {"pipeline", "cli", "plugins", "hookspecs"}
SAYS_NOTHING = {"util", "utils", "helper", "helpers", "common", "misc", "shared", "tools"}
MAX_COMPLEXITY = 14

Check = Callable[[str, str], Iterator[str]]  # path, source -> what is wrong


def vague_names(path: str, source: str) -> Iterator[str]:
    """Parts of the path that don't tell what is inside."""
    yield from SAYS_NOTHING.intersection(Path(path).with_suffix("").parts)


def missing_docstring(path: str, source: str) -> Iterator[str]:
    """A module opens by saying what it is."""
    if not ast.get_docstring(ast.parse(source)):
        yield "no module docstring"


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of every absolute import, also inside functions and by `import_module("...")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module.partition(".")[0]
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield module.partition(".")[0]


def third_party_imports(path: str, source: str) -> Iterator[str]:
    """Imports of what neither Python nor microgpt_core brings, but for the five on the floors that may."""
    floor = Path(path).with_suffix("").parts[1]
    allowed = IMPORTABLE if floor in MAY_IMPORT_THEM else set()
    if path == "microgpt_core/cli/plot.py":
        allowed = {*allowed, "matplotlib"}  # an extra, and nowhere else
    for name in imported(ast.parse(source)):
        if name not in allowed | {"microgpt_core"} | sys.stdlib_module_names:
            yield f"imports {name}"


def pydantic_elsewhere(path: str, source: str) -> Iterator[str]:
    """What a value may be is said in one module's words; no other knows pydantic."""
    if path != "microgpt_core/pipeline/reading/schema.py":
        yield from (name for name in imported(ast.parse(source)) if name.startswith("pydantic"))


def complexity(function: ast.AST) -> int:
    """McCabe's cyclomatic complexity: one more than the decisions, `and`, `or` and a comprehension's `if` too."""
    branches = 0
    for node in ast.walk(function):
        match node:
            case ast.If() | ast.IfExp() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler() | ast.Assert():
                branches += 1
            case ast.BoolOp():
                branches += len(node.values) - 1
            case ast.comprehension():
                branches += len(node.ifs)
            case ast.match_case():
                branches += 1
    return 1 + branches


def complicated_functions(path: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and complexity(node) > MAX_COMPLEXITY:
            yield f"line {node.lineno}: {node.name} has complexity {complexity(node)}, at most {MAX_COMPLEXITY}"


PLANTED: list[tuple[Check, str, str]] = [
    (vague_names, "microgpt_core/engine/utils.py", '"""Odds and ends."""'),
    (vague_names, "microgpt_core/common/tape.py", '"""A tape."""'),
    (missing_docstring, "microgpt_core/engine/tape.py", "import math"),
    (third_party_imports, "microgpt_core/engine/tape.py", "import numpy as np"),
    (third_party_imports, "microgpt_core/engine/tape.py", "def f():\n    from yaml import load"),
    (third_party_imports, "microgpt_core/builtin.py", "import importlib\nimportlib.import_module('pluggy._hooks')"),
    (third_party_imports, "microgpt_core/__init__.py", "__import__('rich')"),
    (third_party_imports, "microgpt_core/cli/main.py", "import torch.nn"),
    (third_party_imports, "microgpt_core/cli/show.py", "import matplotlib"),
    (pydantic_elsewhere, "microgpt_core/pipeline/reading/read.py", "from pydantic import BaseModel"),
    (pydantic_elsewhere, "microgpt_core/cli/check.py", "def f():\n    import pydantic_core"),
    (complicated_functions, "microgpt_core/cli/main.py", f"def f(x):\n    return {' or '.join(['x'] * 15)}"),
    (complicated_functions, "microgpt_core/cli/main.py", "def f(x):\n" + "    if x: x += 1\n" * 14),
]
CHECKS = list(dict.fromkeys(check for check, _, _ in PLANTED))


@pytest.mark.parametrize("check", CHECKS)
def test_every_module_passes(check: Check) -> None:
    found = [f"{path}: {wrong}" for path in MODULES for wrong in check(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert MODULES
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("check", "path", "source"), PLANTED)
def test_a_planted_bug_is_found(check: Check, path: str, source: str) -> None:
    assert list(check(path, source))


@pytest.mark.parametrize("path", ["microgpt_core/pipeline/reader.py", "microgpt_core/hookspecs.py"])
def test_the_five_may_be_imported_above(path: str) -> None:
    assert not list(third_party_imports(path, "import json, yaml\nfrom microgpt_core import errors\nfrom . import x"))


def test_the_core_depends_on_exactly_five_distributions() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert set(config["options"]["install_requires"].split()) == DEPENDENCIES


# What ties a file to one machine or one mirror. Written so that no pattern matches its own line.
FOLDERS = "|".join(["root", "work", "opt", "home", "Users"])
FOREIGN = {
    "a folder of one machine": re.compile(rf"(?<![\w.~)}}/-])/(?:{FOLDERS})/(?!me\b)\w"),
    "a package registry's host": re.compile(
        r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian|proxy\.golang)"
    ),
    "what lies beside the clone": re.compile(r"\.\./shared"),
}
MAY_LOOK_BESIDE_THE_CLONE = ".ci/run"


def foreign(path: str, text: str) -> Iterator[str]:
    for title, pattern in FOREIGN.items():
        if path == MAY_LOOK_BESIDE_THE_CLONE and title == "what lies beside the clone":
            continue
        yield from (f"{title}: {found.group()!r}" for found in pattern.finditer(text))


def files_of_the_project() -> list[str]:
    """What git tracks, or would track if it were added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone: what belongs to the project can't be told")
def test_no_file_is_tied_to_one_machine() -> None:
    found = [
        f"{path}: {wrong}"
        for path in files_of_the_project()
        for wrong in foreign(path, (ROOT / path).read_bytes().decode(errors="replace"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        f"open('/{'home'}/ada/names.txt')",
        f"see /{'root'}/x",
        f"PATH=/{'opt'}/bin",
        f"https://{'pypi'}.org/simple",
        f"cat ..{'/shared'}/data",
    ],
)
def test_a_planted_path_or_host_is_found(text: str) -> None:
    assert list(foreign("README.md", text))


def test_a_path_of_nobody_is_no_finding() -> None:
    assert not list(
        foreign("README.md", "/home/me ~/work/x $HOME/opt/y ./home/z docs/work/a /usr/bin/env pypi organisation")
    )


def run_script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL)


def test_the_core_is_as_short_as_promised() -> None:
    result = run_script("count_lines.py")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "lines", "code"),
    [
        ("engine/tape.py", 4_000, 0),
        ("engine/tape.py", 4_001, 1),
        ("cli/main.py", 12_600, 0),
        ("cli/main.py", 12_601, 1),
        ("testing/kit.py", 5_000, 1),  # nothing else there: not a core at all
    ],
)
def test_counting_lines(tmp_path: Path, file: str, lines: int, code: int) -> None:
    target = tmp_path / file
    target.parent.mkdir()
    target.write_text("x = 1\n" * lines, encoding="utf-8", newline="\n")
    assert run_script("count_lines.py", tmp_path).returncode == code


@pytest.mark.parametrize(("covered", "branches", "code"), [(95, 100, 0), (949, 1000, 1), (0, 0, 1)])
def test_branch_coverage(tmp_path: Path, covered: int, branches: int, code: int) -> None:
    report = tmp_path / "coverage.json"
    totals = f'{{"totals": {{"covered_branches": {covered}, "num_branches": {branches}}}}}'
    report.write_text(totals, encoding="utf-8", newline="\n")
    assert run_script("branch_coverage.py", report).returncode == code


@pytest.mark.parametrize("name", ["run", "test"])
def test_the_readme_has_its_two_commands(name: str) -> None:
    result = run_script("readme_command.py", name)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_a_command_that_the_readme_lacks_is_an_error() -> None:
    result = run_script("readme_command.py", "no-such-command")
    assert result.returncode == 1
    assert "expected one fenced block" in result.stderr
