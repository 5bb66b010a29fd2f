"""What authors test their components with: the same checks that the core's own components pass.

    from microgpt_core.testing import pack_tests

    TestPack = pack_tests("microgpt-mish")

Names are imported when they are first used: `mg.check` needs nothing of what packs need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microgpt_core.testing.conformance import (
        PackReport as PackReport,
        check_analyzer as check_analyzer,
        check_dataset as check_dataset,
        check_kernel as check_kernel,
        check_op as check_op,
        check_optimizer as check_optimizer,
        check_pass as check_pass,
        check_peer as check_peer,
        check_schedule as check_schedule,
        check_tokenizer as check_tokenizer,
        check_transform as check_transform,
        test_pack as test_pack,
    )
    from microgpt_core.testing.suite import pack_tests as pack_tests

PUBLIC = {
    **dict.fromkeys(
        ("PackReport", "check_analyzer", "check_dataset", "check_kernel", "check_op", "check_optimizer",
         "check_pass", "check_peer", "check_schedule", "check_tokenizer", "check_transform", "test_pack"),
        "conformance",
    ),
    "pack_tests": "suite",
}  # fmt: skip

__all__ = [*PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)
