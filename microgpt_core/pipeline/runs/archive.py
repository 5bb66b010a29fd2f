"""The runs that were made: what the folder of each says of itself. Nothing is run, and nothing is changed.

A damaged folder is described as far as it can be read. What can't be read is left out, and a list of problems says why.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from microgpt_core.errors import CheckpointError, StorageError
from microgpt_core.pipeline.folders import RESOLVED, RUNS
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.yaml_reader import read_yaml
from microgpt_core.pipeline.runs.ledger import OF_ONE_STAGE, Ledger
from microgpt_core.pipeline.runs.run_folder import ENVIRONMENT
from microgpt_core.plugins.pack import CORE_DISTRIBUTION
from microgpt_core.saving.metrics_log import METRICS, TIMINGS, parse
from microgpt_core.saving.model_folder import read_json
from microgpt_core.storage.lock import LOCK, locked
from microgpt_core.storage.manifest import verify_folder

TRAIN_LOSS, VAL_LOSS = "train/loss", "val/loss"
BESIDE = (  # of an environment, what no stage's key holds
    "schema", CORE_DISTRIBUTION, "platform", "machine", "cpu", "packs", "dependencies", "backends", "parameters",
)  # fmt: skip
T = TypeVar("T")


@dataclass
class Record:
    """One run in a line."""

    name: str
    folder: Path
    began: float  # in seconds since 1970
    state: str = "damaged"  # or "running", "stopped", "finished"
    step: int = 0  # the last one that was made
    tokens: int = 0
    val_loss: float | None = None  # the best
    best_step: int | None = None
    seconds: float = 0.0  # of training
    backends: list[str] = field(default_factory=list)
    parameters: int | None = None
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"folder": str(self.folder)}


def run_folders() -> list[Path]:
    """Every folder in ./runs, the newest first: those of runs, and what may have been one."""
    found = [path for path in RUNS.glob("*") if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: (began(path), path.name), reverse=True)


def began(folder: Path) -> float:
    """When a run began; of an older one, when its pipeline was written; of any other folder, when it last changed."""
    pipeline = folder / "pipeline.yaml"
    written = (pipeline if pipeline.is_file() else folder).stat().st_mtime
    return given(read_environment(folder, []), "began", float, written)


def read_run(folder: Path) -> Record:
    """What a folder says of the run in it. Only the lines of evaluations and the last are read of its metrics."""
    record = Record(folder.absolute().name, folder, began(folder))
    if not (folder / RESOLVED).is_file():
        what = f"it has no {RESOLVED}, so it is no run, or one that ended as it began; it can be deleted"
        record.problems.append(what)
        return record
    problems = record.problems
    metrics = read_log(folder / METRICS, problems, VAL_LOSS)
    if metrics:
        record.step, record.tokens = metrics[-1]["step"], given(metrics[-1], "tokens", int, 0)
    if evaluations := [line for line in metrics if VAL_LOSS in line]:
        best = min(evaluations, key=lambda line: float(line[VAL_LOSS]))
        record.val_loss, record.best_step = best[VAL_LOSS], best["step"]
    if timings := read_log(folder / TIMINGS, problems, None):
        record.seconds = timings[-1].get("elapsed_s", 0.0)
    surroundings = read_environment(folder, problems)
    record.backends = [str(name) for name in given(surroundings, "backends", list, [])]
    record.parameters = given(surroundings, "parameters", int, None)
    record.state = state_of(folder, record.step, problems)
    return record


def state_of(folder: Path, step: int, problems: list[str]) -> str:
    """Whether a run is going on, was stopped, or has come to its end."""
    stages = read_stages(folder, problems)
    if is_running(folder):
        return "running"
    if stages is None:
        return "damaged"
    trained = given(stages.get("train", {}), "result", dict, {})
    steps = given(trained, "steps", int, step)
    if step < steps:
        problems.append(f"{folder / METRICS}: it ends with step {step}, though {steps} were made")
    finished = stages and all("result" in entry for entry in stages.values())
    return "finished" if finished and step <= steps else "stopped"


def is_running(folder: Path) -> bool:
    """Whether a process has the lock of a folder. Nobody can say so of one that can't be written to: False."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with locked(folder):
            return False
    except StorageError:
        return True
    except OSError:
        return False


def read_stages(folder: Path, problems: list[str]) -> dict[str, Any] | None:
    """The ledger; empty where no stage has begun, None where it is damaged."""
    ledger = Ledger(folder)
    problems += [ledger.damage] if ledger.damage else []
    return None if ledger.damage else ledger.entries


def read_environment(folder: Path, problems: list[str]) -> dict[str, Any]:
    """What was recorded of the place where a run was made."""
    return read(folder / ENVIRONMENT, problems) or {}


def resumptions(environment: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Each time that a run went on otherwise than before: after which step, and what was changed, as [then, now]."""
    notes = [note for note in given(environment, "resumed", list, []) if isinstance(note, dict)]
    return [
        (given(note, "step", int, 0), given(note, "settings", dict, {}) | given(note, "environment", dict, {}))
        for note in notes
    ]


def turned(environment: Mapping[str, Any]) -> str:
    """Since when a run isn't what one from its first step, as it is set now, would be; "" where it is that."""
    found = []
    for step, changed in resumptions(environment):
        if step and (keys := [key for key, pair in changed.items() if decides(key, pair)]):
            found.append(f"after step {step} with other {', '.join(keys)}")
    return f"went on {' and '.join(found)}" if found else ""


def decides(key: str, pair: Any) -> bool:
    """Whether training depends on what was changed."""
    root = key.partition(".")[0]
    return not same_minor(pair) if root == "python" else root not in (*OF_ONE_STAGE, *BESIDE)


def same_minor(versions: Any) -> bool:
    """Whether these are versions of Python that give the same bits."""
    return isinstance(versions, list) and len({str(version).rpartition(".")[0] for version in versions}) == 1


def read(path: Path, problems: list[str]) -> dict[str, Any] | None:
    """A JSON object; None with a problem where there is none."""
    try:
        return read_json(path)
    except CheckpointError as error:
        problems.append(str(error))
        return None


def read_settings(folder: Path, problems: list[str]) -> dict[str, Any]:
    """The pipeline with every default, as plain data; none of the components in it need be installed."""
    path = folder / RESOLVED
    try:
        data = read_yaml(path.read_text(encoding="utf-8"), str(path)).data
    except (OSError, ValueError, PipelineError) as error:
        problems.append(str(error))
        return {}
    return data if isinstance(data, dict) else {}


def read_log(path: Path, problems: list[str], holding: str | None = "") -> list[dict[str, Any]]:
    """The lines of a metrics' log that hold a word (None: no line), and the last.

    One that is half written isn't there yet.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    except OSError as error:
        problems.append(f"{path}: can't be read ({error.strerror})")
        return []
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    found, word = list[dict[str, Any]](), None if holding is None else holding.encode("ascii")
    for number, line in enumerate(lines, 1):
        if number == len(lines) or (word is not None and word in line):
            values = parse(line)
            if values["step"] < 1 or not all(type(value) in (int, float) for value in values.values()):
                problems.append(f"{path}: line {number} is damaged")
                break
            found.append(values)
    return found


def checkpoint_states(folder: Path) -> list[dict[str, Any]]:
    """Each checkpoint with its size in bytes, and what is wrong with it; empty: it is whole."""
    found = []
    for path in sorted(folder.glob("checkpoints/*")):
        if path.is_dir() and not path.name.startswith("."):
            with suppress(FileNotFoundError):  # the run goes on, and has just deleted it
                size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                found.append({"name": path.name, "bytes": size, "problem": damage(path)})
    return found


def damage(folder: Path) -> str:
    """What is wrong with a saved folder; nothing where it is as its manifest says."""
    try:
        verify_folder(folder)
    except CheckpointError as error:
        return str(error)
    return ""


def given(values: Mapping[str, Any], key: str, kind: type[T], otherwise: Any) -> T:
    """A value of the type that is expected of it; anything else doesn't count."""
    value = values.get(key)
    return value if isinstance(value, kind) else otherwise
