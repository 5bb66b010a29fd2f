"""The numbers below the picture, as rows of text: the machine's roofs, and the calls by op and by part."""

from collections.abc import Sequence

from microgpt_bench.roofline.points import Group
from microgpt_bench.roofline.roof import STREAMS, Roof
from microgpt_bench.roofline.scale import rate, seconds, share, size

Rows = list[list[str]]

MACHINE = ("roof", "holds", "at most", "read", "written", "copied", "triad", "measured with")
TIMED = ("calls", "FLOPs", "bytes", "FLOPs/byte", "bound", "least time", "time", "of the step", "FLOP/s", "of its roof")
UNTIMED = (*TIMED[:6], "of them")


def machine_rows(roof: Roof) -> Rows:
    """A row for each precision and each level."""
    rows = [[name, "", rate(peak, "FLOP/s"), "", "", "", "", ""] for name, peak in roof.peaks.items()]
    for level in roof.levels:
        moved = [getattr(level, kind) if level.measured_with else 0.0 for kind in STREAMS]
        streams = [rate(x, "B/s") if x else "" for x in moved]
        holds, used = (size(n) if n else "" for n in (level.nbytes, level.measured_with))
        rows.append([level.name, holds, rate(level.bandwidth, "B/s"), *streams, used])
    return rows


def headers(what: str, groups: Sequence[Group]) -> tuple[str, ...]:
    return (what, *(TIMED if groups[0].seconds is not None else UNTIMED))


def group_rows(groups: Sequence[Group], step: Group) -> Rows:
    """A row for each group, and one for all of them."""
    return [group_row(group, step) for group in (*groups, step)]


def group_row(group: Group, step: Group) -> list[str]:
    row = [group.name, str(group.calls), f"{group.flops:,}", f"{group.bytes:,}", f"{group.intensity:.2f}", group.bound]
    row += [seconds(group.least)]
    part = share(group.weight / step.weight)
    if group.seconds is None or group.share is None:
        return [*row, part]
    return [*row, seconds(group.seconds), part, rate(group.rate, "") if group.flops else "", share(group.share)]
