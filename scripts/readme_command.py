"""Print a command of the README, so that what is tested is what is written there.

    python scripts/readme_command.py test

A command is a fenced block right below the comment <!-- command: NAME -->.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def command(text: str, name: str) -> str:
    """The block's contents. Raises ValueError unless there is exactly one."""
    block = rf"^<!-- command: {re.escape(name)} -->\n```\w*\n(.+?)\n```$"
    found: list[str] = re.findall(block, text, re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"expected one fenced block right below <!-- command: {name} -->, found {len(found)}")
    return found[0]


if __name__ == "__main__":
    try:
        print(command(README.read_text(encoding="utf-8"), sys.argv[1]))
    except (OSError, ValueError) as error:
        sys.exit(f"{README}: {error}")
