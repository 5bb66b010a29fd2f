"""Count the lines of the reading path and of the core, and fail where either has outgrown its limit.

    python scripts/count_lines.py [PACKAGE FOLDER]

Physical lines of .py files: comments and docstrings are read too. The limits are promises to the reader.
"""

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "microgpt_core"
READING_PATH = ("components", "ops", "engine", "models", "training", "inference")
READING_LIMIT, CORE_LIMIT = 4_000, 7_000


def lines(files: list[Path]) -> int:
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def count(package: Path) -> list[tuple[str, int, int]]:
    """Title, lines and limit of the reading path and of the whole core without testing/."""
    floors: dict[str, list[Path]] = {}
    for file in package.rglob("*.py"):
        floors.setdefault(file.relative_to(package).parts[0], []).append(file)
    reading = [file for floor in READING_PATH for file in floors.get(floor, [])]
    core = [file for floor, files in floors.items() if floor != "testing" for file in files]
    return [("reading path", lines(reading), READING_LIMIT), ("core", lines(core), CORE_LIMIT)]


def main(package: Path) -> int:
    counts = count(package)
    for title, found, limit in counts:
        print(f"{title:<12} {found:>5,} of {limit:,} lines{'' if found <= limit else ': too many'}")
    if not counts[1][1]:
        print(f"{package}: no Python files here")
        return 1
    return int(any(found > limit for _, found, limit in counts))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE))
