"""Count the lines of the reading path and of the core, and fail where either has outgrown its limit.

    python scripts/count_lines.py [PACKAGE FOLDER]

A line counts if there is code on it. Blank lines, comments and docstrings don't: explaining must never be what a
file is shortened by. The limits are promises to the reader: docs/explanation/size.md says why they are what they are.
"""

import ast
import io
import sys
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "microgpt_core"
READING_PATH = ("components", "ops", "engine", "models", "training", "inference")
READING_LIMIT, CORE_LIMIT = 4_000, 12_600
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
LAYOUT = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENDMARKER)


def code_lines(text: str) -> int:
    """How many lines of a module have code on them."""
    covered: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in LAYOUT:
            covered.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                covered.difference_update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(covered)


def count(package: Path) -> list[tuple[str, int, int, int]]:
    """Title, lines with code, all lines, and limit, of the reading path and of the whole core without testing/."""
    texts: dict[str, list[str]] = {}
    for file in package.rglob("*.py"):
        texts.setdefault(file.relative_to(package).parts[0], []).append(file.read_text(encoding="utf-8"))
    reading = [text for floor in READING_PATH for text in texts.get(floor, [])]
    core = [text for floor, found in texts.items() if floor != "testing" for text in found]
    return [
        (title, sum(map(code_lines, found)), sum(len(text.splitlines()) for text in found), limit)
        for title, found, limit in (("reading path", reading, READING_LIMIT), ("core", core, CORE_LIMIT))
    ]


def main(package: Path) -> int:
    counts = count(package)
    for title, code, lines, limit in counts:
        verdict = "" if code <= limit else ": too many"
        print(f"{title:<12} {code:>5,} of {limit:,} lines of code{verdict} ({lines:,} with comments and blank lines)")
    if not counts[1][1]:
        print(f"{package}: no Python files here")
        return 1
    return int(any(code > limit for _, code, _, limit in counts))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE))
