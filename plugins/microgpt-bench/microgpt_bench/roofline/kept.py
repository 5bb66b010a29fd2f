"""The roof of this machine as it was measured last: once for each start of the machine and number of threads;
once a day where the system gives its starts no name, as macOS and Windows don't.

It is measured in a process of its own, pinned and told its threads before it loads anything, as races are. Its peaks,
and those of all cores, are kept for runs, too: as a share of these they say how fast they train.
"""

import json
import os
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from microgpt_bench import __version__
from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.race import Say
from microgpt_bench.measuring.racer import Racer
from microgpt_bench.roofline.roof import Roof
from microgpt_core.pipeline.runs.cpu import cores, cpu, described
from microgpt_core.pipeline.runs.peak import peaks_file
from microgpt_core.plugins.pack import version_of
from microgpt_core.storage.atomic import atomic_write
from microgpt_core.text.cache import cache_folder

BOOT = Path("/proc/sys/kernel/random/boot_id")
NATIVE = ("microgpt-simd",)  # packs whose version changes what is measured, besides NumPy
FORCED = ("MICROGPT_SIMD",)  # and variables that do


def roof_of_machine(threads: int = 1, again: bool = False, say: Say = lambda text: None) -> Roof:
    """The kept roof; measured where there is none, or where it is to be measured `again`."""
    path = place(threads)
    if not again and (roof := read(path)):
        return roof
    say(f"measuring what this machine can do with {threads} thread{'s' if threads > 1 else ''}, which takes a while")
    roof = measured_elsewhere(threads)
    peaks = {threads: roof.peaks, **({} if threads == cores() else {cores(): peaks_elsewhere(cores())})}
    keep(path, roof.to_dict())
    keep(peaks_file(), with_peaks(peaks))
    return roof


def measured_elsewhere(threads: int) -> Roof:
    with Racer(Candidate("roof", threads=threads)) as racer:
        return Roof.from_dict(racer.prepare("roof", {})["roof"])


def peaks_elsewhere(threads: int) -> dict[str, float]:
    with Racer(Candidate("roof", threads=threads)) as racer:
        found: dict[str, float] = racer.prepare("peaks", {})["peaks"]
        return found


def with_peaks(peaks: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    """What `peaks.json` is to hold: these of this processor, and what else it holds, if it isn't damaged."""
    try:
        kept = dict(json.loads(peaks_file().read_text(encoding="utf-8")))
        ours = dict(kept.get(described(), {}))
    except (OSError, ValueError, TypeError):
        kept, ours = {}, {}
    for threads, rates in peaks.items():
        ours[str(threads)] = {precision: round(flops / 1e9, 3) for precision, flops in rates.items()}
    return {**kept, described(): ours}


def keep(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (json.dumps(data, indent=2) + "\n").encode("utf-8"))


def place(threads: int) -> Path:
    """The file for this machine since it was started, these versions and so many threads."""
    boot = BOOT.read_text(encoding="ascii").strip() if BOOT.is_file() else date.today().isoformat()
    versions = {name: version_of(name) for name in ("numpy", *NATIVE)}
    forced = {name: os.environ.get(name) for name in FORCED}
    key = json.dumps([__version__, cpu(), boot, versions, forced, threads])
    return cache_folder() / "roofline" / f"{sha256(key.encode()).hexdigest()[:16]}-{threads}.json"


def read(path: Path) -> Roof | None:
    """None where there is no file, or one that another version has left."""
    if not path.is_file():
        return None
    try:
        return Roof.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError):
        return None
