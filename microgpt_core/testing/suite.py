"""An author's whole test file, for pytest or `python -m unittest`:

    from microgpt_core.testing import pack_tests

    TestPack = pack_tests("microgpt-mish")

Every check of every component is a test of its own: `TestPack::test_op_mish_derivative`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import TestCase

from microgpt_core.plugins.registry import Registry
from microgpt_core.testing.conformance import registry_with
from microgpt_core.testing.packs import find_pack, pack_checks
from microgpt_core.testing.report import Check


def pack_tests(name_or_file: str | Path, registry: Registry | None = None) -> type[TestCase]:
    """The tests of a pack, or of a pack in one file. Raises UnknownNameError for a name that isn't installed."""
    registry = registry or registry_with(name_or_file)
    checks = pack_checks(find_pack(registry, str(name_or_file)), registry)
    return type("PackTests", (TestCase,), {test_name(check): test_of(check) for check in checks})


def test_name(check: Check) -> str:
    return f"test_{check.component.replace(' ', '_')}_{check.name}"


def test_of(check: Check) -> Callable[[TestCase], None]:
    def test(case: TestCase) -> None:
        __tracebackhide__ = True  # pytest: what is wrong says where
        result = check.run()
        if result.state == "skipped":
            case.skipTest(result.notes[0])
        if result.state == "failed":
            case.fail("\n".join(result.notes))

    return test
