"""The whole of it, on this machine: twenty races of a version, itself, and a copy with an op slower by a tenth.

It takes about ten minutes; what it found is in docs/how-to/benchmark.md.
"""

import os
import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.race import Effort, Timed, race
from microgpt_bench.results.compare import compare
from microgpt_bench.results.result import Report, part_results, result

PERCENT = 10
EFFORT = Effort(rounds=3, processes=10, block_seconds=0.03)
OPS = {  # that hold at least a tenth of a step of e16: their module, class and method in the NumPy pack
    "attention.backward": ("attention", "Attention", "backward"),
    "adamw_update.forward": ("updates", "AdamWUpdate", "forward"),
    "embedding.backward": ("embedding", "Embedding", "backward"),
}
PLANTED = """

def _slow_down(kernel, slow):
    from time import perf_counter_ns

    prepare = kernel.prepare

    def prepare_slower(self, method, *given):
        run = prepare(self, method, *given)

        def slower():
            start = perf_counter_ns()
            run()
            now = perf_counter_ns()
            while perf_counter_ns() < now + PERCENT * (now - start) // 100 - 250:  # which these lines cost anyway
                pass

        return slower if method == slow else run

    kernel.prepare = prepare_slower


_slow_down(CLASS, "METHOD")
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the interpreter that finds the copy first is a shell script")


def plant(folder: Path, module: str, class_: str, method: str, percent: int) -> str:
    """An interpreter that finds a copy of the NumPy pack first, in which one op is slower."""
    spec = find_spec("microgpt_numpy")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, folder / "microgpt_numpy", ignore=shutil.ignore_patterns("__pycache__"))
    source = folder / "microgpt_numpy" / f"{module}.py"
    text = PLANTED.replace("PERCENT", str(percent)).replace("CLASS", class_).replace("METHOD", method)
    source.write_text(source.read_text(encoding="utf-8") + text, encoding="utf-8", newline="\n")
    path, python = os.pathsep.join([str(folder), *filter(None, sys.path)]), folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec "{sys.executable}" "$@"\n', encoding="utf-8", newline="\n")
    python.chmod(0o755)
    return str(python)


def report(timed: Timed) -> Report:
    assert not timed.left_out, timed.left_out
    unnamed = replace(timed, candidate=replace(timed.candidate, environment=""))
    return Report({}, [result("ops", "e16", unnamed), *part_results("ops", "e16", unnamed)])


def race_of_three(folder: Path, op: str, effort: Effort, percent: int = PERCENT) -> list[Report]:
    """A version, the same again, and the slower one."""
    slow = plant(folder, *OPS[op], percent)
    versions = [Candidate("numpy", environment=name) for name in ("base", "same")]
    versions.append(Candidate("numpy", environment="slow", python=slow))
    return [report(timed) for timed in race("ops", versions, {"model": "e16"}, effort)]


def named(old: Report, new: Report, same_race: bool) -> list[str]:
    return [one.op for one in compare(old, new, PERCENT, same_race) if one.verdict in ("slower", "faster")]


@pytest.mark.slow
def test_the_planted_op_is_slower(tmp_path: Path) -> None:
    """Four times as slow would be found by anybody, also beside other programs: this is whether the copy is what the
    workers import.
    """
    effort = Effort(rounds=2, processes=3, block_seconds=0.02)
    base, _, slow = race_of_three(tmp_path, "attention.backward", effort, percent=300)
    found = {one.op: one.time_ratio for one in compare(base, slow, PERCENT, same_race=True)}
    assert 2 < found["attention.backward"] < 8


@pytest.mark.long
def test_a_slowdown_is_named_20_times_of_20_and_nothing_in_a_version_beside_itself(tmp_path: Path) -> None:
    found, before = {"raced": 0, "apart": 0}, None
    for i in range(21):
        op = list(OPS)[i % len(OPS)]
        base, same, slow = race_of_three(tmp_path / str(i), op, EFFORT)
        pairs = {"raced": base} | ({"apart": before} if before else {})
        for way, old in pairs.items():
            assert named(old, same, way == "raced") == [], f"race {i}, {way}"
            found[way] += named(old, slow, way == "raced") == [op]
        before = base
    assert found == {"raced": 21, "apart": 20}
