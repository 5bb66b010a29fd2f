"""Analyzers and callbacks at work: each is told of every step. One that fails is told once and asked no more."""

import logging
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from microgpt_core.components import Analyzer, Buffer, Callback

logger = logging.getLogger(__name__)


class Observers:
    """The analyzers and the callbacks of a training, by the names that they have there.

    `origins` says of some where they come from and what to do should they fail.
    """

    def __init__(
        self,
        analyzers: Mapping[str, Analyzer],
        callbacks: Mapping[str, Callback] | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self._working, self._callbacks, self._origins = dict(analyzers), dict(callbacks or {}), origins or {}

    @property
    def watch(self) -> Sequence[str]:
        """The patterns of all of them."""
        return [pattern for analyzer in self._working.values() for pattern in analyzer.watch]

    def observe(self, step: int, values: Mapping[str, Buffer]) -> None:
        """Show each what it watches."""
        for name, analyzer in list(self._working.items()):
            seen = {s: x for s, x in values.items() if any(fnmatchcase(s, pattern) for pattern in analyzer.watch)}
            try:
                analyzer.observe(step, seen)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code; training goes on without it
                self._disable(name, f"at step {step}", error)

    def ask(self, metrics: Mapping[str, Any]) -> dict[str, str]:
        """Tell the callbacks of a step. What some of them want, "save" or "stop", and the name of one that does."""
        wanted: dict[str, str] = {}
        for name, callback in list(self._callbacks.items()):
            try:
                answer = callback.on_step(metrics)
                if answer not in (None, "save", "stop"):
                    raise ValueError(f"on_step returned {answer!r}; allowed: 'save', 'stop' and None")
            except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
                self._disable(name, f"at step {metrics['step']}", error)
            else:
                wanted |= {answer: name} if answer else {}
        return wanted

    def reports(self) -> dict[str, Mapping[str, Any]]:
        """What each found, by its name."""
        found = {}
        for name, analyzer in list(self._working.items()):
            try:
                found[name] = analyzer.report()
            except (Exception, SystemExit) as error:  # noqa: BLE001
                self._disable(name, "in its report", error)
        return found

    def _disable(self, name: str, when: str, error: BaseException) -> None:
        among = self._working if name in self._working else self._callbacks
        del among[name]
        kind = "analyzer" if among is self._working else "callback"
        what = f"{type(error).__name__}: {error}"
        origin = f" ({self._origins[name]})" if name in self._origins else ""
        logger.warning("%s %s failed %s and is left out from now on: %s%s", kind, name, when, what, origin)
