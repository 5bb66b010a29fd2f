"""The command by which packs come into this Python environment, and go.

It is pip's, unless pipx, uv, conda or the operating system keeps the environment: pip would work against those.
"""

import re
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from microgpt_core.errors import ConfigurationError, MicrogptError, UnknownNameError
from microgpt_core.hookspecs import FAMILY, GROUP
from microgpt_core.plugins.discovery import COMMAND_GROUP, entry_points, normal
from microgpt_core.plugins.hints import quoted
from microgpt_core.plugins.pack import CORE_DISTRIBUTION, version_of

Action = Literal["install", "upgrade", "uninstall"]
PIP: dict[Action, tuple[str, ...]] = {
    "install": ("install",),
    "upgrade": ("install", "--upgrade"),
    "uninstall": ("uninstall", "--yes"),
}
SOMEBODY_ELSES = re.compile(r"microgpt\s*([\[(<>=!~;@].*)?", re.IGNORECASE)


def pip_command(action: Action, targets: Sequence[str], editable: bool = False) -> list[str]:
    """What the environment's own pip has to be told.

    Raises ConfigurationError for what is no target, and MicrogptError, with the right command, where pip isn't it.
    """
    for target in targets:
        if target.startswith("-"):
            raise ConfigurationError(f"{target!r} is an option; expected a pack's distribution, or a folder")
        if SOMEBODY_ELSES.fullmatch(target.strip()):
            raise ConfigurationError(f"{target!r} is somebody else's; the engine is {CORE_DISTRIBUTION}")
    if who := keeper():
        command = other_command(who, action, targets, editable)
        raise MicrogptError(f"{who} this Python environment, so nothing was done; run: {command}")
    return [sys.executable, "-m", "pip", *PIP[action], *flagged(targets, "--editable" if editable else "")]


def keeper() -> str:
    """Who must be asked instead of pip; "" where pip is right."""
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").is_file():
        return "pipx keeps"
    if (prefix / "uv-receipt.toml").is_file():
        return "uv keeps"
    if (prefix / "conda-meta").is_dir():
        return "conda keeps"
    if sys.prefix == sys.base_prefix and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file():
        return "the operating system keeps"  # PEP 668
    return "" if find_spec("pip") else "there is no pip in"


def other_command(who: str, action: Action, targets: Sequence[str], editable: bool) -> str:
    """What does the same where pip isn't right."""
    app, python = Path(sys.prefix).name, quoted(sys.executable)
    given = " ".join(map(quoted, flagged(targets, "--editable" if editable else "")))
    pip = f"-m pip {' '.join(PIP[action])}"
    if who == "pipx keeps":
        verb = {"install": "inject", "upgrade": "inject --force", "uninstall": "uninject"}[action]
        return f"pipx {verb} {app} {given}"
    if who == "uv keeps":  # it makes the tool anew, with what it is told and nothing else
        kept = {normal(point.distribution) for point in entry_points(GROUP, FAMILY)} - {*map(normal, targets)}
        wanted = [*flagged(sorted(kept), "--with")]
        if action != "uninstall":
            wanted += flagged(targets, "--with-editable" if editable else "--with")
        return f"uv tool install{' --upgrade' if action == 'upgrade' else ''} {' '.join([app, *map(quoted, wanted)])}"
    if who == "conda keeps":
        return f"conda run --prefix {quoted(sys.prefix)} python {pip} {given}"
    if who == "the operating system keeps":
        if action == "uninstall":
            return f"{python} {pip} --break-system-packages {given}"
        return f"python3 -m venv microgpt-env && microgpt-env/bin/python -m pip install {CORE_DISTRIBUTION} {given}"
    if shutil.which("uv"):
        return f"uv pip {PIP[action][0]} --python {python} {given}"
    return f"{python} -m ensurepip && {python} {pip} {given}"


def distribution_named(name: str) -> str:
    """The installed distribution of a pack, by the pack's name or its own, whatever state it is in.

    Raises UnknownNameError for none, ConfigurationError for several.
    """
    points = [*entry_points(GROUP, FAMILY), *entry_points(COMMAND_GROUP)]
    found = {p.distribution for p in points if normal(name) in (normal(p.distribution), normal(p.name))}
    if len(found) > 1:
        raise ConfigurationError(
            f"{name!r} is a pack of several distributions; write which: {', '.join(sorted(found))}"
        )
    if not found and name.startswith("microgpt-") and name != CORE_DISTRIBUTION and version_of(name):
        return name  # its metadata is broken, or it is no pack after all
    if not found:
        raise UnknownNameError("pack", name, {known for p in points for known in (p.name, p.distribution)})
    return found.pop()


def flagged(words: Sequence[str], flag: str) -> list[str]:
    """The words, a flag before each, if there is one."""
    return [part for word in words for part in (flag, word) if part]
