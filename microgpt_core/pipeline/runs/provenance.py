"""Where a run comes from, its `environment.json`: code, text, versions, machine. Never a variable's value or a secret.

Two runs of the same pipeline for which this is the same give the same bits.
"""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from microgpt_core import __version__
from microgpt_core.pipeline.reading.settings import to_dict
from microgpt_core.pipeline.runs.archive import given, read_environment, read_settings, same_minor
from microgpt_core.pipeline.runs.code import code_digests, used_packs
from microgpt_core.pipeline.runs.cpu import described
from microgpt_core.pipeline.runs.differences import differing, said
from microgpt_core.pipeline.runs.ledger import start_digest
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.pipeline.runs.run_folder import DEPENDENCIES, ENVIRONMENT, write
from microgpt_core.plugins.pack import CORE_DISTRIBUTION, Pack, version_of
from microgpt_core.saving.checkpoint import STEP

SCHEMA = 1
GIT_SECONDS = 5.0  # a folder on a slow network mustn't keep a run from beginning
STATUS = ("--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=all", "--no-renames")
REQUIRED = re.compile(r"[\w.-]+")


def environment(run: Run) -> dict[str, Any]:
    """What a run's numbers depend on besides its settings. Call it when the run's stages have their keys."""
    packs = [pack for pack in run.registry.packs if pack.state == "ok"]
    return {
        "schema": SCHEMA,
        CORE_DISTRIBUTION: __version__,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": described(),
        "packs": {pack.name: pack.label for pack in packs},
        "dependencies": {name: version_of(name) for name in (*DEPENDENCIES, *required(used_packs(run)))},
        "backends": [backend.name for backend in run.kernels.backends],
        "passes": [each.name for each in run.kernels.passes],
        "parameters": run.network.n_parameters,
        "tokenizer": {"use": run.tokenizer.name, "vocab_size": run.tokenizer.vocab_size},
        "code": code_digests(used_packs(run)),
        "data": run.data_digest,
        "start": start_digest(run.pipeline.init_from),
        **({"transforms": run.corpus.counts} if run.pipeline.transforms else {}),
    }


def required(packs: Iterable[Pack]) -> list[str]:
    """The distributions that installed packs need, besides the core."""
    found = set()
    for pack in packs:
        if version_of(pack.distribution) and pack.distribution != CORE_DISTRIBUTION:
            wanted = metadata.requires(pack.distribution) or []
            found |= {match[0] for one in wanted if "extra ==" not in one and (match := REQUIRED.match(one))}
    return sorted(found - {CORE_DISTRIBUTION})


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit that a folder is at, and whether a file has changed since; None where git knows nothing of it.

    Nothing else is asked of git, since a remote's address may hold a password; and what a repository's configuration
    would have git run for it, isn't run: no monitor, no hook, no filter, nothing in a submodule, no fetching.
    """
    try:
        named = git(folder, "config", "--name-only", "-z", "--get-regexp", r"^filter\.")
        filters = [os.fsdecode(name) for name in named.split(b"\0") if name]
        if any("=" in name for name in filters):
            return None  # `-c` can't name it, so it can't be left out
        off = [word for name in filters for word in ("-c", f"{name}=")]
        told = git(folder, *off, "status", *STATUS).splitlines()
    except (OSError, ValueError, subprocess.TimeoutExpired):  # ValueError: a filter whose name is no text
        return None
    commit = next((line.split()[-1].decode() for line in told if line.startswith(b"# branch.oid ")), None)
    return {"commit": commit, "changed": any(not line.startswith(b"#") for line in told)} if commit else None


def git(folder: Path, *words: str) -> bytes:
    """What git answers; nothing where it fails."""
    asked = ["git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", *words]
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none"}
    return subprocess.run(
        asked, cwd=folder, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, timeout=GIT_SECONDS
    ).stdout


def note_changes(run: Run) -> None:
    """Before training goes on: add to `environment.json` what is otherwise than it was, and since which step.

    What the bits may depend on besides the settings, which somebody has just set, is told.
    """
    found = STEP.fullmatch(run.saved.name) if run.saved else None
    recorded = read_environment(run.folder, [])
    if not recorded or (run.saved and not found):
        return  # an older run, which nothing is known of; or one whose training is done
    settings = differing(read_settings(run.folder, []), to_dict(run.pipeline))
    now, step = environment(run), int(found[1]) if found else 0
    surroundings = differing(as_recorded(recorded), now)
    for line in in_words(changes(recorded, now)):
        run.reporter.headline(f"warning: since step {step}: {line}")
    if settings or surroundings:
        note = {"step": step, "settings": settings, "environment": surroundings}
        recorded["resumed"] = [*given(recorded, "resumed", list, []), note]
        write(run.folder / ENVIRONMENT, json.dumps(recorded, indent=2) + "\n")


def as_recorded(recorded: dict[str, Any]) -> dict[str, Any]:
    """What `environment` gave; without what was added to it."""
    return {key: value for key, value in recorded.items() if key not in ("git", "began", "resumed")}


def changes(recorded: dict[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What isn't as it was recorded, of all that the bits can depend on. An older run may have recorded less."""
    found = {key: pair for key, pair in differing(as_recorded(recorded), now).items() if None not in pair}
    aside = {
        *(["python"] if same_minor(found.get("python")) else []),
        *(f"dependencies.{name}" for name in DEPENDENCIES),
    }
    aside |= {key for key in found if key.startswith("packs.") and key.replace("packs", "code", 1) not in found}
    return {key: pair for key, pair in found.items() if key not in aside}


def in_words(changed: Mapping[str, list[Any]]) -> list[str]:
    """What was recorded, and what is."""
    names = {"data": "the text", "start": "the model of init_from"}
    return [said(names.get(key, key), then, now) for key, (then, now) in changed.items()]
