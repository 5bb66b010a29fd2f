"""Who looks at a model while it trains, and never touches."""

from collections.abc import Mapping
from typing import Any, ClassVar

from microgpt_core.components.buffer import Buffer


class Analyzer:
    """Looks, never touches. The plan keeps what `watch` names alive; nothing else may be read."""

    name: ClassVar[str]
    watch: ClassVar[tuple[str, ...]] = ()  # patterns of scopes: "block.*.attention.q", "grad block.*"

    def observe(self, step: int, values: Mapping[str, Buffer]) -> None:
        """Called after a step with a read-only buffer for every scope that `watch` matches."""

    def report(self) -> Mapping[str, Any]:
        """Tables and figures, by title, for the terminal, JSON and HTML."""
        return {}
