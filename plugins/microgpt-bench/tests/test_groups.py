"""Races in groups: nobody runs where there is no room, and times of two groups can be put beside each other."""

from collections.abc import Sequence
from statistics import median

import pytest

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.groups import MOST, race_in_groups
from microgpt_bench.measuring.race import Timed
from microgpt_bench.measuring.statistics import ratio
from microgpt_bench.work.memory import kept, needed
from microgpt_core.components import Pass
from microgpt_core.engine.backends import Kernels
from microgpt_core.errors import DoesNotFitError

A, B, C, D = (Candidate(name) for name in "abcd")
NS = {"a": 10.0, "b": 20.0, "c": 40.0, "d": 80.0}


class Machine:
    """Races candidates whose speeds are known, and is half as fast in each further race."""

    def __init__(self, broken: Sequence[tuple[int, str]] = ()) -> None:
        self.raced: list[str] = []
        self.broken = broken  # in which race who can't run

    def start(self, group: Sequence[Candidate]) -> list[Timed]:
        slower = 2 ** len(self.raced)
        self.raced.append("".join(who.use for who in group))
        found = []
        for who in group:
            if (len(self.raced), who.use) in self.broken:
                found.append(Timed(who, left_out=f"{who.use}: no"))
                continue
            rounds = [[slower * NS[who.use]] * 3] * 2
            parts = [[{"op": ns / 2} for ns in process] for process in rounds]
            found.append(Timed(who, rounds, rounds, parts, [[5.0 * slower] * 3] * 2))
        return found


GROUPS = {  # free bytes, where each needs 10 -> who races with whom
    "nobody says what is free": (None, ["abcd"]),
    "room for all": (100, ["abcd"]),
    "room for three": (round(30 / MOST), ["abc", "ad"]),
    "room for two": (round(20 / MOST), ["ab", "ac", "ad"]),
    "no more than for two": (20, ["ab", "ac", "ad"]),
}


@pytest.mark.parametrize("name", GROUPS)
def test_each_group_has_room_and_the_common_candidate(name: str) -> None:
    free, expected = GROUPS[name]
    machine = Machine()
    found, groups = race_in_groups(machine.start, [A, B, C, D], [10] * 4, free)
    assert machine.raced == ["".join(group) for group in groups] == expected
    assert [timed.candidate for timed in found] == [A, B, C, D]


def test_ratios_across_groups_are_those_of_one_race() -> None:
    a, b, c, d = race_in_groups(Machine().start, [A, B, C, D], [10] * 4, 25)[0]
    assert [timed.rounds for timed in (a, b, c, d)] == [[[ns] * 3] * 2 for ns in NS.values()]
    assert c.singles == c.rounds
    assert d.parts[0][0] == {"op": 40.0}
    assert d.yardsticks == a.yardsticks
    assert ratio(b.rounds, d.rounds).median == 4.0


def test_planted_times_of_another_group_as_they_are() -> None:
    """What the ratio would be without the common candidate: the machine is four times slower by then."""
    machine = Machine()
    first, _, last = (machine.start(group) for group in ([A, B], [A, C], [A, D]))
    assert median(last[1].rounds[0]) / median(first[1].rounds[0]) == 16.0


def test_who_has_no_room_is_left_out_and_says_how_much_it_needs() -> None:
    machine = Machine()
    found, _ = race_in_groups(machine.start, [A, B, C], [10**7, 3 * 10**7, 10**7], 25 * 10**6)
    assert machine.raced == ["ac"]
    assert {one.candidate.use: one.left_out for one in found if one.left_out} == {
        "b": "a (10.0 MB) and b (30.0 MB) need 40.0 MB of memory at once, and 25.0 MB are free"
    }


@pytest.mark.parametrize(("needs", "who"), [([10, 20], r"a \(10.0 MB\) and b"), ([26], "a"), ([26, 1], "a")])
def test_no_race_without_room_for_two(needs: list[int], who: str) -> None:
    machine = Machine()
    with pytest.raises(DoesNotFitError, match=f"^{who} .* are free; choose a smaller --model") as refused:
        race_in_groups(machine.start, [A, B][: len(needs)], [10**6 * n for n in needs], 25 * 10**6)
    assert refused.value.exit_code == 4
    assert not machine.raced


def test_who_cannot_run_is_no_common_candidate() -> None:
    machine = Machine(broken=[(1, "a")])
    found, _ = race_in_groups(machine.start, [A, B, C], [10] * 3, 25)
    assert machine.raced == ["ab", "bc"]
    assert [timed.left_out for timed in found] == ["a: no", "", ""]


def test_where_the_common_candidate_fails_later_its_group_has_no_times() -> None:
    found, _ = race_in_groups(Machine(broken=[(2, "a")]).start, [A, B, C], [10] * 3, 25)
    assert found[0].rounds
    assert found[2].left_out.startswith("a: no: ")


def test_microgpt_in_float32_is_what_others_are_checked_by() -> None:
    half, peer = Candidate("a", "bfloat16"), Candidate("b", peer=True)
    machine = Machine()
    race_in_groups(machine.start, [half, C, peer], [10] * 3, 25)
    assert machine.raced == ["ac", "cb"]


def test_needs_follow_the_plans() -> None:
    own, peer = Candidate("reference"), Candidate("torch", peer=True)
    small, large = needed("step", "e16", own), needed("step", "gpt2", own)
    assert small < 100e6
    assert large > 3e9  # 124 million weights, their gradients and two averages, and the values of 1,024 tokens
    assert needed("step", "gpt2", Candidate("reference", overrides=("train.recompute=1",))) < large
    assert 1e9 < needed("generate", "gpt2", peer) < needed("step", "gpt2", peer)
    assert needed("step", "e16", Candidate("nobody")) == needed("startup", "import", own) == 0


class Keeping(Pass):
    def session(self, kernels: object) -> Pass:
        return Keeping()


def test_a_second_copy_of_the_weights_is_counted_where_a_pass_may_keep_one() -> None:
    assert [kept(Kernels(passes=passes), 100) for passes in ([], [Pass()], [Pass(), Keeping()])] == [0, 0, 100]
