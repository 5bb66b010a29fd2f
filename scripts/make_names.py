"""Make microgpt_core/text/names.txt, the names that come with the package.

    pip install names==0.3.0
    python scripts/make_names.py

Source: the 1990 census' frequency tables of male and female first names (dist.male.first, dist.female.first)
of the U.S. Census Bureau, as the PyPI package `names` carries them. They are a work of the United States
government, hence public domain; no code of that package is used or copied.
"""

from importlib.resources import files
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "microgpt_core" / "text" / "names.txt"


def census_names() -> list[str]:
    """Every first name of the two tables, lower case, sorted, each once."""
    found = set()
    for table in ("dist.male.first", "dist.female.first"):
        lines = files("names").joinpath(table).read_text(encoding="ascii").splitlines()
        found.update(line.split()[0].lower() for line in lines)  # NAME frequency cumulative rank
    return sorted(name for name in found if name.isascii() and name.isalpha())


if __name__ == "__main__":
    names = census_names()
    TARGET.write_text("\n".join(names) + "\n", encoding="utf-8", newline="\n")
    print(f"{len(names):,} names in {TARGET}")
