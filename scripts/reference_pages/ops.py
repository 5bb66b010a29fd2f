"""Ops: of each its signature, its formula, and the slots that it fits."""

import sys
from collections.abc import Iterator

from microgpt_core.components import SLOTS, Op, Unary, fits_slot
from microgpt_core.ops import OPS
from reference_pages import page_top

ABOUT = "Of each op: the signature (a question mark: may be left out), what it makes, and its file's opening words."


def page() -> str:
    parts = [page_top("Ops", ABOUT)]
    for name, op in OPS.items():
        doc = sys.modules[type(op).__module__].__doc__ or ""
        path = f"../../{type(op).__module__.replace('.', '/')}.py"
        kind = ", elementwise" if isinstance(op, Unary) else ""
        head = f"## {name}\n\n[`{name}{op.signature}`]({path}){kind}. {'; '.join(facts(op))}.\n"
        parts.append(f"{head}\n```text\n{doc.strip()}\n```\n")
    return "\n".join(parts)


def facts(op: Op) -> Iterator[str]:
    signature, slots = op.signature, [slot for slot in SLOTS if fits_slot(op, slot)]
    yield f"Makes {', '.join(signature.outputs) or 'nothing new'}"
    if signature.saved:
        yield f"saves {', '.join(signature.saved)} for backward"
    if op.mutates:
        yield f"changes {', '.join(op.mutates)} in place"
    if slots:
        yield f"fits {', '.join(slots)}"
