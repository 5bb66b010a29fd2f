"""The pages of docs/reference/, one a module, each made from the program itself."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE = "<!-- made by scripts/make_reference.py; change the program instead -->"


def page_top(title: str, about: str) -> str:
    return f"# {title}\n\n{MADE}\n\n{about}\n"
