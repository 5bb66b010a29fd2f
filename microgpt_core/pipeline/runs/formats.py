"""Which formats there are to export to, and where an exported model goes: never in place of anything else."""

import shutil
from pathlib import Path

from microgpt_core.components import Format, Tokenizer
from microgpt_core.errors import ConfigurationError, StorageError
from microgpt_core.models.model import Model
from microgpt_core.plugins.registry import Registry
from microgpt_core.saving.model_folder import CONFIG


def find_format(registry: Registry, name: str) -> Format:
    """The format of a name. Raises UnknownNameError."""
    found: Format = registry.get("formats", name)()
    return found


def reader_of(registry: Registry, path: Path) -> Format:
    """The format that reads such a file. Raises ConfigurationError where none does."""
    formats = [find_format(registry, name) for name in registry.names("formats")]
    able = {f.suffix: f for f in formats if f.readable and f.suffix}
    if path.suffix not in able:
        raise ConfigurationError(f"{path}: this is a file, and no model can be read from one but {', '.join(able)}")
    return able[path.suffix]


def write_as(format: Format, model: Model, tokenizer: Tokenizer, path: Path, force: bool = False) -> None:
    """Export a model to `path`. Raises ConfigurationError where something is there, unless `force` says to replace it.

    Nothing but a file, or a model's folder, is ever replaced.
    """
    if path.exists() and not force:
        raise ConfigurationError(f"{path} exists already; name another place with --output, or replace it with --force")
    if path.exists() and (path.is_dir() != (not format.suffix) or path.is_dir() and not (path / CONFIG).is_file()):
        kind = "a folder" if path.is_dir() else "a file"
        raise ConfigurationError(f"{path} is {kind} and no {format.name} export, so --force won't replace it")
    if not path.absolute().parent.is_dir():
        raise StorageError(f"{path}: there is no folder {path.parent}; make it first")
    format.write(model, tokenizer, path)


def write_all(registry: Registry, names: list[str], model: Model, tokenizer: Tokenizer, folder: Path) -> list[str]:
    """A run's exports, in place of earlier ones: the files' names."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    formats = [find_format(registry, name) for name in names]
    for format in formats:
        write_as(format, model, tokenizer, folder / f"model{format.suffix}")
    return [f"model{format.suffix}" for format in formats]
