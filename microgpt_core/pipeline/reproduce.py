"""Doing a run again from what was recorded of it, and looking whether the same bits come out."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from microgpt_core.errors import ConfigurationError, Interrupted
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.api import begin, check
from microgpt_core.pipeline.folders import RESOLVED, find_run
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.archive import given, read_environment, read_run, resumptions, turned
from microgpt_core.pipeline.runs.comparison import MODEL
from microgpt_core.pipeline.runs.differences import differing, said
from microgpt_core.pipeline.runs.ledger import file_sum, stage_keys
from microgpt_core.pipeline.runs.provenance import changes, environment, in_words
from microgpt_core.pipeline.runs.run import Reporter, Run
from microgpt_core.pipeline.runs.run_folder import check_replaceable, named_folder
from microgpt_core.pipeline.runs.signals import Signals
from microgpt_core.plugins.hints import install_command, quoted
from microgpt_core.plugins.loader import load as load_plugins
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.selection import Plugins
from microgpt_core.saving.metrics_log import METRICS, parse

RESULTS = (METRICS, MODEL, "model/tokenizer.json", "evaluation.json", "samples.txt")


@dataclass
class Reproduction:
    """What came of doing a run again: true where every result is the same, to the bit."""

    run: Path
    folder: Path | None  # of the second one; None: it was in a temporary one
    environment: dict[str, list[Any]]  # what isn't as it was recorded: [then, now]
    warnings: list[str]  # the same in words, and why else the bits may differ
    differences: dict[str, str] = field(default_factory=dict)  # file -> the first thing that differs in it, or ""

    def __bool__(self) -> bool:
        return not any(self.differences.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        folder = None if self.folder is None else str(self.folder)
        return {"same": bool(self), **asdict(self), "run": str(self.run), "folder": folder}


def reproduce(
    run: str | Path,
    *,
    output: str | Path | None = None,
    plugins: Plugins = (),
    reporter: Reporter | None = None,
) -> Reproduction:
    """Do a finished run again, as it was recorded, and compare what comes out of it, bit by bit.

    Text, code and versions that aren't as they were are told before it begins. `output` is a new folder to keep it in;
    without one, it is gone afterwards. Raises ConfigurationError for a run that isn't finished or went on otherwise
    than it began, and where a pack is missing that it used.
    """
    folder, target = find_run(str(run)), named_folder(output)
    if (state := read_run(folder).state) != "finished":
        raise ConfigurationError(f"{folder} is {state}, so there is nothing to compare with; see: microgpt runs show")
    recorded = read_environment(folder, [])
    if other := turned(recorded):
        raise ConfigurationError(
            f"{folder} {other}, so no run from the first step gives its bits; to begin one with the settings that it "
            f"ended with: microgpt run {quoted(folder / RESOLVED)}"
        )
    with Signals() as signals, ExitStack() as stack:
        registry = load_plugins(builtin, plugins)
        require_packs(recorded, registry)
        place = target or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="microgpt-")), folder.name)
        check_replaceable(place, force=False)
        again = Run(
            read_pipeline(folder / RESOLVED, registry), registry, place, reporter or Reporter(), signals=signals
        )
        if again.pipeline.backend == "auto":  # other packs may be here than were there
            again.pipeline.backend = given(recorded, "backends", list, "auto")
        if again.pipeline.passes == "auto":
            again.pipeline.passes = given(recorded, "passes", list, "auto")
        keys = stage_keys(again)
        check(again)
        changed = changes(recorded, environment(again))
        found = Reproduction(folder, target, changed, list(warnings(changed, recorded, again)))
        for line in found.warnings:
            again.reporter.headline(f"warning: {line}")
        try:
            begin(again, keys, folder)
        except Interrupted as stopped:
            raise stopped if target else Interrupted(stopped.signal, "nothing of the second run is kept") from None
        for name in RESULTS:
            if (folder / name).is_file() or (place / name).is_file():
                found.differences[name] = first_difference(folder / name, place / name)
        return found


def require_packs(recorded: Mapping[str, Any], registry: Registry) -> None:
    """Raise ConfigurationError for a pack that a run used and that isn't there, with the command that brings it."""
    for name in given(recorded, "code", dict, {}):
        pack = next((pack for pack in registry.packs if pack.name == name), None)
        if pack is None:
            origin = str(given(recorded, "packs", dict, {}).get(name, name))
            distribution, _, version = origin.partition(" ")
            if origin.endswith(".py"):
                how = f"name it: --plugin {origin}"
            else:
                how = f"install it: {install_command(distribution, f'{distribution}=={version}')}"
            raise ConfigurationError(f"the run used the pack {name!r} ({origin}), which isn't here; {how}")
        if pack.failure:
            raise ConfigurationError(f"the run used a pack that can't be used now: {pack.failure}")


def warnings(changed: Mapping[str, list[Any]], recorded: Mapping[str, Any], run: Run) -> Iterator[str]:
    """Why the bits may not be the same."""
    yield from in_words(changed)
    for step, others in resumptions(recorded):
        yield f"after step {step} it went on with other {', '.join(others)}, which isn't done again"
    if run.pipeline.train.minutes is not None:
        yield "train.minutes ended it, and how many steps fit in a time is never quite the same"


def first_difference(before: Path, after: Path) -> str:
    """The first thing that differs between two files of one name; "" where every bit is the same."""
    if missing := [path for path in (before, after) if not path.is_file()]:
        return f"there is no {missing[0]}"
    sums = file_sum(before), file_sum(after)
    if sums[0] == sums[1]:
        return ""
    if before.suffix == ".safetensors":
        return f"SHA-256 was {sums[0]}, is {sums[1]}"
    old, new = (path.read_bytes().splitlines(keepends=True) for path in (before, after))
    pairs = enumerate(zip_longest(old, new, fillvalue=b""), 1)
    number, line, other = next((number, line, other) for number, (line, other) in pairs if line != other)
    if not (line and other):
        return f"line {number} is only in the {'first' if line else 'second'} run"
    if before.name == METRICS and (values := differing(parse(line), parse(other))):
        what = ", ".join(said(key, was, now) for key, (was, now) in values.items())
        return f"step {parse(other)['step']}: {what}"
    return f"line {number} was {line.decode('utf-8', 'replace')!r}, is {other.decode('utf-8', 'replace')!r}"
