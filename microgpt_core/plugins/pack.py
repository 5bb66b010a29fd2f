"""A pack: one distribution's (or one file's) components, or the reason why it has none."""

from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

from microgpt_core.errors import ConfigurationError, MicrogptError

CORE = "core"  # the name of the core's own pack
CORE_DISTRIBUTION = "microgpt-core"
SHOWN = 400  # characters of what an exception says


class PluginError(ConfigurationError):
    """A pack that can't be used: it doesn't import, says nonsense, or takes a name that is taken."""


@dataclass
class Pack:
    """What an entry point or a file brought. A failed pack brings nothing; there is no half of one."""

    name: str  # the entry point's, or the file's without .py: what stands before the slash in `tokenizers/bpe`
    distribution: str  # or the file's path
    version: str = ""
    components: dict[str, dict[str, Any]] = field(default_factory=dict)  # kind -> name -> class or "module:Class"
    state: Literal["ok", "disabled", "incompatible", "failed"] = "ok"
    stage: str = ""  # where it failed: import, hooks, call, check, names
    error: BaseException | None = None  # why it isn't ok
    file: str = ""  # of the module with the hooks, as far as it is known
    seconds: float = 0.0  # that its import took
    output: str = ""  # what it printed while it was loaded, in one line
    deprecated: list[str] = field(default_factory=list)  # its hooks that will go, each with what to do
    backends: dict[str, dict[str, str]] = field(default_factory=dict)  # what each tells of this machine, if probed

    @property
    def origin(self) -> str:
        """`microgpt-mish 0.1`, or the file."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def label(self) -> str:
        """The same for others to read: of a file only its name."""
        return Path(self.distribution).name if self.distribution.endswith(".py") else self.origin

    @property
    def failure(self) -> str:
        """One line: which pack, where from, what keeps it from being used, what to do. Empty where nothing does."""
        if self.state == "ok":
            return ""
        failed = self.state == "failed"
        said = f"failed ({self.stage}): {cause(self.error)}; {self.fix}" if failed else f"is {self.state}: {self.error}"
        return f"pack {self.name!r} ({self.origin}) {said}"

    @property
    def notices(self) -> list[str]:
        """A line for each thing that is wrong with a pack, though it works."""
        said = [f"printed while it was loaded: {self.output}"] if self.output else []
        said += [f"has a deprecated hook, {hook}" for hook in self.deprecated]
        update = f"an update may not: microgpt plugins install --upgrade {self.distribution}"
        advice = "correct the file" if self.distribution.endswith(".py") else update
        return [f"pack {self.name!r} ({self.origin}) {one}; {advice}" for one in said]

    @property
    def fix(self) -> str:
        """What a person can do about a pack that doesn't work."""
        if self.distribution.endswith(".py"):
            return "correct the file"
        update, remove = f"install --upgrade {self.distribution}", f"uninstall {self.distribution}"
        return f"try: microgpt plugins {update}, or: microgpt plugins {remove}"

    def to_dict(self) -> dict[str, Any]:
        """What there is to say about it, for JSON: of its components only the names."""
        said = {k: v for k, v in vars(self).items() if k not in ("error", "components", "backends")}
        names = {kind: sorted(found) for kind, found in self.components.items()}
        return said | {"problem": self.failure, "components": names}


def cause(error: BaseException | None) -> str:
    """An exception in one line, with its type where that says something."""
    try:
        text = shorten(str(error), SHOWN)
    except Exception:  # noqa: BLE001 - a stranger's exception may be unable to say what it is
        text = "it can't say what"
    return text if isinstance(error, MicrogptError) else f"{type(error).__name__}: {text}"


def version_of(distribution: str) -> str:
    """The installed version of a distribution, or nothing where it isn't installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
