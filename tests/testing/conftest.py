"""What the matrices of bugs share: which checks find something, and what they say."""

from collections.abc import Callable, Iterable

import pytest

from microgpt_core.testing.report import Check

Failures = Callable[[Iterable[Check]], dict[str, list[str]]]


@pytest.fixture
def failures() -> Failures:
    """The checks that fail, by name, with what they say."""

    def run(checks: Iterable[Check]) -> dict[str, list[str]]:
        return {r.check: r.notes for r in (check.run() for check in checks) if r.state == "failed"}

    return run
