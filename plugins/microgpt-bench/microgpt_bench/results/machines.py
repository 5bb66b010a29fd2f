"""Two machines, or one at two times: what differs, and what may be compared nevertheless."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from microgpt_bench.results.result import Report, Result

SPEED = ("cpu", "features", "cores", "architecture")  # whoever differs in one of these is another machine
ALWAYS_NEW = ("time", "git")


def differing(old: Report, new: Report) -> dict[str, tuple[Any, Any]]:
    """What differs in the facts of the machines; of versions and packs, each by itself."""
    a, b = dict(flat(old.machine)), dict(flat(new.machine))
    return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}


def flat(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if name in ALWAYS_NEW:
            continue
        if isinstance(value, dict):
            yield from ((f"{name}.{part}", one) for part, one in value.items())
        else:
            yield name, value


def other_machine(differences: dict[str, tuple[Any, Any]]) -> bool:
    return any(name in differences for name in SPEED)


def beside_peers(old: Report, new: Report) -> tuple[Report, Report]:
    """The whole turns of both that a peer made, too: its rounds are their yardstick.

    An op's share is another on another machine, and no peer's ops are timed: single ops are left out.
    """
    kept: tuple[list[Result], list[Result]] = ([], [])
    for found in old.results:
        peers = [
            (peer, same)
            for peer in peers_of(found, old)
            for same in new.results
            if who(same) == who(peer) and same.peer
        ]
        if peers and not (found.op or found.peer):
            peer, same = min(peers, key=lambda pair: (pair[0].precision != found.precision, pair[0].median_ms))
            kept[0].append(replace(found, yardstick_ms=peer.rounds_ms))
            kept[1].extend(replace(one, yardstick_ms=same.rounds_ms) for one in new.results if who(one) == who(found))
    return replace(old, results=kept[0]), replace(new, results=kept[1])


def peers_of(found: Result, report: Report) -> list[Result]:
    return [r for r in report.results if r.peer and (r.bench, r.model) == (found.bench, found.model)]


def who(found: Result) -> tuple[str | int, ...]:
    return found.bench, found.model, found.candidate, found.precision, found.threads, found.op
