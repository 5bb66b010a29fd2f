"""How long `microgpt --help` takes, alone and with fifty packs installed.

    python benchmarks/startup.py [--packs 50] [--rounds 41] [--json]

The packs are folders of metadata and modules such as installers leave, every second with a command of its own. Timed
in turn, round by round, each in a new process: Python doing nothing, `--help` without packs, and with them. Printed
are medians, and the median of the rounds' differences; the bar is 150 ms with packs.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
BAR = 150.0  # milliseconds
MODULE = """import click
from microgpt_core.components import Tokenizer
from microgpt_core.hookspecs import hookimpl


class Many(Tokenizer):
    name = "many-{i}"


@hookimpl
def microgpt_tokenizers():
    return {{"many-{i}": Many}}


@click.command("many-{i}")
def command():
    print({i})
"""


def write_packs(site: Path, n: int) -> None:
    for i in range(n):
        (site / f"microgpt_many_{i}.py").write_text(MODULE.format(i=i), encoding="utf-8")
        info = site / f"microgpt_many_{i}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: microgpt-many-{i}\nVersion: 1.0\n", encoding="utf-8"
        )
        points = f"[microgpt.plugins.v1]\nmany-{i} = microgpt_many_{i}\n"
        if i % 2:
            points += f"\n[microgpt.commands.v1]\nmany-{i} = microgpt_many_{i}:command\n"
        (info / "entry_points.txt").write_text(points, encoding="utf-8")


def timed(arguments: list[str], path: list[Path]) -> float:
    """The milliseconds that a new Python takes for this."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    start = perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    return 1e3 * (perf_counter() - start)


def measure(packs: int, rounds: int) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        site, help_ = Path(folder), ["-m", "microgpt_core", "--help"]
        write_packs(site, packs)
        timed(help_, [ROOT, site])  # writes the bytecode
        triples = [(timed(["-c", "pass"], []), timed(help_, [ROOT]), timed(help_, [ROOT, site])) for _ in range(rounds)]
    python, alone, with_packs = zip(*triples)
    return {
        "python_ms": median(python),
        "help_ms": median(alone),
        "help_with_packs_ms": median(with_packs),
        "p10_ms": quantiles(with_packs, n=10)[0],
        "p90_ms": quantiles(with_packs, n=10)[-1],
        "packs_cost_ms": median(b - a for _, a, b in triples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="How long `microgpt --help` takes, alone and with packs.")
    parser.add_argument("--packs", type=int, default=50, help="how many are installed")
    parser.add_argument("--rounds", type=int, default=41, help="how often each is timed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    found = measure(given.packs, given.rounds) | {"packs": given.packs, "bar_ms": BAR}
    if given.json:
        print(json.dumps({"python": sys.version.split()[0], **found}, indent=2))
        return
    print(f"Python {sys.version.split()[0]}, {given.rounds} rounds, milliseconds")
    print(f"python -c pass          {found['python_ms']:7.1f}")
    print(f"microgpt --help         {found['help_ms']:7.1f}")
    print(
        f"with {given.packs} packs           {found['help_with_packs_ms']:7.1f}   "
        f"({found['p10_ms']:.1f} to {found['p90_ms']:.1f}; the packs cost {found['packs_cost_ms']:.1f}; bar {BAR:g})"
    )


if __name__ == "__main__":
    main()
