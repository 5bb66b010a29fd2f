"""The table of docs/explanation/trust.md: every check is in it, and the bug beside each is one that it finds."""

import importlib.util
import re
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

from microgpt_core.testing import (
    analyzers as analyzer_kit,
    components,
    datasets,
    optimizers,
    packs,
    passes,
    peers,
    schedules,
    tokenizers,
    transforms,
)
from microgpt_core.testing.rules import KERNEL_RULES, OP_RULES

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "trust.md"
ROW = re.compile(r"\| `(\w+)` \| ([\w, ]+) \| .+ \|(?: `(\w+)`)? \|")


def matrix(name: str) -> ModuleType:
    """Another test file of this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows() -> dict[str, str]:
    """Each check of the table with its planted bug."""
    return {found[1]: found[3] or "" for found in ROW.finditer(PAGE.read_text(encoding="utf-8"))}


def planted() -> set[tuple[str, str]]:
    """(check, bug) of all matrices."""
    ops, kernels, text, training, pass_bugs, peer_bugs, mistakes = map(
        matrix,
        (
            "test_matrix_ops",
            "test_matrix_kernels",
            "test_matrix_text",
            "test_matrix_training",
            "test_matrix_passes",
            "test_matrix_peers",
            "test_matrix_mistakes",
        ),
    )
    tables = (
        ops.BUGS, kernels.BUGS, text.TOKENIZERS, text.DATASETS, text.TOKENS, text.TRANSFORMS, training.OPTIMIZERS,
        training.AVERAGES,
        training.SCHEDULES, training.ANALYZERS, pass_bugs.PASSES, peer_bugs.PEERS, mistakes.WRONG_OPS,
        mistakes.WRONG_KERNELS,
    )  # fmt: skip
    return {(check, bug.__name__) for bug, check, _ in chain(*tables)} | {("says_whether_it_can_run", "Ready")}


def test_every_check_is_in_the_table() -> None:
    kits = (tokenizers, datasets, transforms, optimizers, schedules, analyzer_kit, passes, peers, packs, components)
    rules = chain(OP_RULES, KERNEL_RULES, datasets.TOKEN_RULES, *(kit.RULES for kit in kits))
    others = {
        "agrees_with_reference", "allocates_nothing", "tries_every_input", "says_whether_it_can_run", "can_be_made",
        "loads",
    }  # fmt: skip
    assert set(rows()) == {rule.__name__ for rule in rules} | others


@pytest.mark.parametrize(("check", "bug"), [row for row in rows().items() if row[1]])
def test_the_bug_beside_a_check_is_one_that_it_finds(check: str, bug: str) -> None:
    assert (check, bug) in planted()


def test_those_without_a_name_are_tested_elsewhere() -> None:
    bare = {check for check, bug in rows().items() if not bug}
    assert bare == {name for name, _, _ in matrix("test_packs").BUGS} | {"tries_every_input"}
