"""Which rules an op keeps, and which a kernel."""

from collections.abc import Sequence

from microgpt_core.testing import contract, history
from microgpt_core.testing.agreement import agrees_with_reference, lets_special_numbers_through, special_numbers_agree
from microgpt_core.testing.case import Case
from microgpt_core.testing.contract import Rule, sets_when_told
from microgpt_core.testing.derivative import derivative
from microgpt_core.testing.refusals import refuses_wrong_shapes

SHARED: tuple[Rule, ...] = (*contract.RULES, *history.RULES)
PROMISES: tuple[Rule, ...] = (*SHARED, lets_special_numbers_through, refuses_wrong_shapes)  # in float64
OP_RULES: tuple[Rule, ...] = (derivative, *PROMISES)
KERNEL_RULES: tuple[Rule, ...] = (
    *SHARED,
    sets_when_told,
    agrees_with_reference,
    special_numbers_agree,
)


def found(rule: Rule, cases: Sequence[Case]) -> list[str]:
    """What the first case that breaks a rule shows."""
    return next(filter(None, (list(rule(case)) for case in cases)), [])
