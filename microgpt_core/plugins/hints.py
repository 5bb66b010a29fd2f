"""What to do about a name that nothing answers to: which pack would bring it, and the command that installs that.

Which first-party pack brings what is data, in catalogue.json: no module names a pack.
"""

import json
import re
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from microgpt_core.plugins.discovery import normal
from microgpt_core.plugins.pack import Pack


def hint(kind: str, name: str, packs: Collection[Pack]) -> str:
    """A sentence for the person who asked for an unknown name; empty where there is nothing to say."""
    text = files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    distribution: str = json.loads(text).get(kind, {}).get(name.rpartition("/")[2], "")
    unusable = [pack for pack in packs if pack.state != "ok"]
    for pack in unusable:
        if normal(pack.distribution) == distribution or len(unusable) == 1 and not distribution:
            return pack.failure
    if distribution in {normal(pack.distribution) for pack in packs}:
        return f"A later {distribution} brings it: microgpt plugins install --upgrade {distribution}"
    if distribution:
        return f"{distribution} brings it: {install_command(distribution)}"
    if unusable:
        names = ", ".join(f"{pack.name} ({pack.state})" for pack in unusable)
        return f"Packs that aren't used may bring it: {names}; see: microgpt plugins list"
    return ""


def install_command(distribution: str, requirement: str = "") -> str:
    """How to install a pack (of some version); in a clone that has it, from the folder beside the package."""
    folder = Path(__file__).parents[2] / "plugins" / distribution
    target = str(folder) if (folder / "pyproject.toml").is_file() else requirement or distribution
    return f"microgpt plugins install {quoted(target)}"


def quoted(argument: str | Path) -> str:
    """An argument as every system's command line takes it: in double quotes where it needs any."""
    argument = str(argument)
    return argument if re.fullmatch(r"[\w./:\\=@-]+", argument) else f'"{argument}"'
