"""What `plugins:` asks for: an installed distribution, perhaps with its least version."""

import re
from collections.abc import Iterable

from microgpt_core.plugins.discovery import normal
from microgpt_core.plugins.hints import install_command, quoted
from microgpt_core.plugins.pack import Pack

REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*?)\s*(?:>=\s*(\d+(?:\.\d+)*))?\s*")


def unmet(requirement: str, packs: Iterable[Pack]) -> str | None:
    """Why `microgpt-simd>=0.1` isn't met and what to do about it; None where it is met."""
    if is_file(requirement):
        return (
            f"{requirement!r} is code, and a pipeline runs none unasked; name it on the command line: --plugin "
            f"{quoted(requirement)}, or allow what the pipeline names: --allow-code"
        )
    match = REQUIREMENT.fullmatch(requirement)
    if not match or normal(match[1]) == "microgpt":  # that distribution is somebody else's
        return f"expected a pack's distribution, such as microgpt-simd or microgpt-simd>=0.1, found {requirement!r}"
    name, least = match[1], match[2]
    pack = next((p for p in packs if normal(p.distribution) == normal(name)), None)
    if pack is None:
        return f"{name} isn't installed; install it with: {install_command(normal(name), requirement)}"
    if pack.failure:
        return pack.failure
    if least and numbers(pack.version) < numbers(least):
        update = f'microgpt plugins install --upgrade "{requirement}"'
        return f"{name} {pack.version} is installed, {least} is needed: {update}"
    return None


def is_file(requirement: str) -> bool:
    """Whether it is no distribution but a file, `./mish.py`."""
    return requirement.endswith(".py") or "/" in requirement or "\\" in requirement


def numbers(version: str) -> list[int]:
    """The release numbers of a version, without the zeros at its end: 1.0 is 1."""
    match = re.match(r"\d+(\.\d+)*", version)
    found = [int(part) for part in match[0].split(".")] if match else []
    while found and not found[-1]:
        found.pop()
    return found
