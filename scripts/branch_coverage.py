"""Fail where the tests take too few of the core's branches.

    python scripts/branch_coverage.py COVERAGE.json

The percentage that coverage itself compares with a limit mixes statements into it.
"""

import json
import sys
from pathlib import Path

AT_LEAST = 95.0  # percent


def main(report: Path) -> int:
    totals = json.loads(report.read_text(encoding="utf-8"))["totals"]
    covered, branches = totals["covered_branches"], totals["num_branches"]
    percent = 100.0 * covered / branches if branches else 0.0  # no branch at all: the wrong file was measured
    print(f"branches: {covered:,} of {branches:,} taken, {percent:.2f} %, at least {AT_LEAST:g} %")
    return int(percent < AT_LEAST)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
