"""All that a run's folder says of it, for a person who opens it months later."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.reading.settings import COMPONENTS, SETTINGS, Pipeline, plain
from microgpt_core.pipeline.runs import archive
from microgpt_core.pipeline.runs.differences import flat
from microgpt_core.plugins.fields import fields_of
from microgpt_core.plugins.hints import quoted
from microgpt_core.plugins.registry import Registry
from microgpt_core.saving.metrics_log import METRICS

SAMPLES = 5


def report(folder: Path, registry: Registry) -> dict[str, Any]:
    """What `microgpt runs show` shows. `settings` are those that aren't the defaults, `metrics` the log's lines."""
    record, environment = archive.read_run(folder), archive.read_environment(folder, [])
    settings = archive.read_settings(folder, record.problems)
    usual = flat(defaults(settings, registry))
    return {
        **record.to_dict(),
        "settings": {key: value for key, value in flat(settings).items() if usual.get(key, ...) != value},
        "environment": environment,
        "stages": {name: outcome(entry) for name, entry in (archive.read_stages(folder, []) or {}).items()},
        "metrics": archive.read_log(folder / METRICS, []),
        "checkpoints": archive.checkpoint_states(folder),
        "samples": first_lines(folder / "samples.txt"),
        "next": next_commands(record, not archive.turned(environment)),
    }


def defaults(settings: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """The values that a pipeline's keys have where nothing is said; none of a component that isn't installed."""
    found = {f.name: plain(f.default) for f in fields_of(Pipeline) if not f.required}
    found |= {name: asdict(cls()) for name, cls in SETTINGS.items()}
    for section, (kind, default) in COMPONENTS.items():
        try:
            cls = registry.get(kind, str(archive.given(settings, section, dict, {}).get("use", default)))
        except ConfigurationError:
            continue
        found[section] = {"use": default, **{f.name: plain(f.default) for f in fields_of(cls) if not f.required}}
    return found


def first_lines(path: Path) -> list[str]:
    """Of a text, where there is one."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[:SAMPLES] if path.is_file() else []


def outcome(entry: Any) -> Any:
    """What a stage returned, or that it isn't done."""
    return entry["result"] if isinstance(entry, dict) and "result" in entry else "not done yet"


def next_commands(record: archive.Record, reproducible: bool) -> list[str]:
    """What can be done with a run now."""
    folder = quoted(record.folder)
    if record.state == "stopped":
        return [f"microgpt run --resume {folder}"]
    if record.state != "finished":
        return []
    longer = f"microgpt run --resume {folder} --set train.max_steps={2 * record.step}"
    again = [f"microgpt runs reproduce {folder}"] if reproducible else []
    return [f"microgpt generate {folder}", *again, longer]
