"""A candidate: who does the work that is measured, and how. It is data, so that it can be sent to another process."""

import sys
from dataclasses import dataclass, field

READING = "reading"  # no model: it reads as many bytes as a token needs
SAME_WORK = ("kernels.", "passes=", "train.recompute=")  # overrides that compute the same in another way


@dataclass(frozen=True)
class Candidate:
    """A backend of microgpt, perhaps with settings of its own, or one way to run a peer."""

    use: str  # the backend's name, or the peer's
    precision: str = "float32"
    threads: int = 1
    peer: bool = False
    way: str = ""  # to run the peer
    environment: str = ""  # what the table calls another Python environment
    python: str = field(default=sys.executable)  # its interpreter
    overrides: tuple[str, ...] = ()  # of the golden model: train.recompute=1, as `--vary` gave it

    @property
    def name(self) -> str:
        """What the table calls it: numpy, torch-compiled, base:numpy, numpy[train.recompute=1]."""
        name = f"{self.use}-{self.way}" if self.way else self.use
        name = f"{name}[{','.join(self.overrides)}]" if self.overrides else name
        return f"{self.environment}:{name}" if self.environment else name

    @property
    def label(self) -> str:
        """Its name, and the precision where it isn't float32."""
        return self.name if self.precision == "float32" else f"{self.name} {self.precision}"

    @property
    def other_work(self) -> tuple[str, ...]:
        """The overrides that have it compute something else than the golden model does."""
        return tuple(text for text in self.overrides if not text.startswith(SAME_WORK))
