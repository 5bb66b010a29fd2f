"""A pack: one distribution's (or one file's) components, or the reason why it has none."""

from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Literal

from microgpt_core.errors import ConfigurationError, MicrogptError

CORE = "core"  # the name of the core's own pack
CORE_DISTRIBUTION = "microgpt-core"


class PluginError(ConfigurationError):
    """A pack that can't be used: it doesn't import, says nonsense, or takes a name that is taken."""


@dataclass
class Pack:
    """What an entry point or a file brought. A failed pack brings nothing; there is no half of one."""

    name: str  # the entry point's, or the file's without .py: what stands before the slash in `tokenizers/bpe`
    distribution: str  # or the file's path
    version: str = ""
    components: dict[str, dict[str, Any]] = field(default_factory=dict)  # kind -> name -> class or "module:Class"
    state: Literal["ok", "disabled", "failed"] = "ok"
    stage: str = ""  # where it failed: import, hooks, call, check, names
    error: BaseException | None = None

    @property
    def origin(self) -> str:
        """`microgpt-mish 0.1`, or the file."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def failure(self) -> str:
        """One line: which pack, where from, how far it came, what went wrong, what to do."""
        return f"pack {self.name!r} ({self.origin}) failed ({self.stage}): {cause(self.error)}; {self.fix}"

    @property
    def fix(self) -> str:
        """What a person can do about a pack that doesn't work."""
        if self.distribution.endswith(".py"):
            return "correct the file"
        return f"try: pip install --upgrade {self.distribution}, or: pip uninstall {self.distribution}"


def cause(error: BaseException | None) -> str:
    """An exception in one line, with its type where that says something."""
    text = " ".join(str(error).split())
    return text if isinstance(error, MicrogptError) else f"{type(error).__name__}: {text}"


def version_of(distribution: str) -> str:
    """The installed version of a distribution, or nothing where it isn't installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
