"""What tests share: data sets that the project doesn't contain, and a watch over what the interpreter does."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from microgpt_core.text.cache import cached


def required(name: str) -> Path:
    """A data set's file in the cache. Absent, the test is skipped; with MICROGPT_REQUIRE_DATA=1 it fails."""
    if file := cached(name, verify=True):
        return file
    reason = f"{name} isn't in the cache; run: microgpt data get {name}"
    if os.environ.get("MICROGPT_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def ssa_names() -> Path:
    return required("ssa-names")


@pytest.fixture
def tinyshakespeare() -> Path:
    return required("tinyshakespeare")


class Watch:
    """Notes what the interpreter is asked to do while it is on. A hook can't be removed, so there is one."""

    def __init__(self) -> None:
        self.on, self.events = False, list[str]()
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        forbidden = (
            "import",
            "exec",
            "compile",
            "marshal.",
            "pickle.",
            "open",
            "os.",
            "subprocess.",
            "socket.",
            "ctypes.",
        )
        if self.on and event.startswith(forbidden):
            self.events.append(event)

    def during(self, action: Callable[[], object]) -> list[str]:
        self.events = []
        self.on = True
        try:
            action()
        finally:
            self.on = False
        return self.events


@pytest.fixture(scope="session")
def watch() -> Watch:
    return Watch()
