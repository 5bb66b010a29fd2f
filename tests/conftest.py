"""What the tests share: the data sets that the project doesn't contain."""

import os
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
