"""What the `export:` section of a pipeline says: which files the trained model is written to."""

from dataclasses import dataclass

from microgpt_core.errors import require


@dataclass
class ExportSettings:
    """Which files the trained model is written to, by the stage `export`.

    Fields:
        format: a format's name, or a list of them, each once; `microgpt list formats` names them all
    """

    format: str | list[str] = "python"

    def __post_init__(self) -> None:
        require(bool(self.format), "format", repr(self.format), "a format's name, or a list of them, such as [python]")
        require(len(set(self.names)) == len(self.names), "format", repr(self.format), "each format once")

    @property
    def names(self) -> list[str]:
        return [self.format] if isinstance(self.format, str) else self.format
