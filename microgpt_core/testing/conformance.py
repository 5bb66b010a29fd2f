"""Is it right? `check_op(Mish())` for one component, `test_pack("microgpt-mish")` for all that a pack brings.

Each returns a report: true where nothing is wrong, and printable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt_core.components import (
    Analyzer,
    Backend,
    Dataset,
    Kernel,
    Op,
    Optimizer,
    Pass,
    Peer,
    Schedule,
    Tokenizer,
    Transform,
)
from microgpt_core.pipeline import builtin
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry
from microgpt_core.testing.analyzers import analyzer_checks
from microgpt_core.testing.cases import Example
from microgpt_core.testing.datasets import dataset_checks
from microgpt_core.testing.ops import kernel_checks, op_checks
from microgpt_core.testing.optimizers import Model, optimizer_checks
from microgpt_core.testing.packs import find_pack, pack_checks
from microgpt_core.testing.passes import pass_checks
from microgpt_core.testing.peers import peer_checks
from microgpt_core.testing.report import Check, Report
from microgpt_core.testing.schedules import schedule_checks
from microgpt_core.testing.tokenizers import tokenizer_checks
from microgpt_core.testing.transforms import transform_checks


@dataclass(frozen=True, repr=False)
class PackReport(Report):
    """What all checks of a pack found."""

    pack: str
    version: str

    def to_dict(self) -> dict[str, Any]:
        return {"pack": self.pack, "version": self.version, **super().to_dict()}


def test_pack(name_or_file: str | Path, registry: Registry | None = None) -> PackReport:  # noqa: PT028 - no test
    """Check all that a pack brings: an installed one by its name, or one in a Python file, which is run.

    Raises UnknownNameError for a name that isn't installed, PluginError for a file that isn't a pack.
    """
    name, registry = str(name_or_file), registry or registry_with(name_or_file)
    pack = find_pack(registry, name)
    results = [check.run() for check in pack_checks(pack, registry)]
    return PackReport(pack.origin, results, pack.name, pack.version)


def registry_with(name_or_file: str | Path) -> Registry:
    """What is installed, and the file where it is one."""
    return load(builtin, [name_or_file] if str(name_or_file).endswith(".py") else [])


def check_op(op: Op, examples: Sequence[Example] = ()) -> Report:
    """`examples` say what to try it on, where neither its signature nor its class does."""
    return report(op_checks(op, examples=examples))


def check_kernel(kernel: Kernel, op: Op, backend: Backend, examples: Sequence[Example] = ()) -> Report:
    return report(kernel_checks(kernel, op, backend, examples=examples))


def check_tokenizer(tokenizer: Tokenizer) -> Report:
    """A tokenizer that hasn't been trained; it is trained here."""
    return report(tokenizer_checks(tokenizer))


def check_dataset(dataset: Dataset) -> Report:
    return report(dataset_checks(dataset))


def check_transform(transform: Transform) -> Report:
    return report(transform_checks(transform))


def check_optimizer(optimizer: Optimizer, op: Op | Mapping[str, Op], model: Model | None = None) -> Report:
    """With the op that its `update` names, or those that its `rules` do, by their names.

    `model(w, grads, lr)`: what a step for each row of grads makes of w.
    """
    return report(optimizer_checks(optimizer, op, model))


def check_schedule(schedule: Schedule) -> Report:
    return report(schedule_checks(schedule))


def check_analyzer(analyzer: Analyzer) -> Report:
    return report(analyzer_checks(analyzer))


def check_pass(each: Pass) -> Report:
    return report(pass_checks(each))


def check_peer(peer: Peer) -> Report:
    return report(peer_checks(peer))


def report(checks: Iterable[Check]) -> Report:
    results = [check.run() for check in checks]
    return Report(results[0].component, results)
