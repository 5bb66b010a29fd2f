"""Which tokenizer a command means: a model's, a vocabulary's, or a component's, learned on the spot."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from microgpt_core.components import Tokenizer
from microgpt_core.errors import ConfigurationError, DataError, nearest
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.folders import find_run, model_folder
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.selection import Plugins
from microgpt_core.saving.model_folder import TOKENIZER
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.interchange.files import read_vocabulary
from microgpt_tokenizers.interchange.json_file import read_object
from microgpt_tokenizers.interchange.vocab_merges import NAMES, holds_vocabulary

WHAT = "a tokenizer.json, a .tiktoken file, a folder with vocab.json and merges.txt, a run's name or folder, or latest"


def tokenizer_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--tokenizer", "-t", "source", default="tokenizer.json", show_default=True, help=f"{WHAT}.")(
        command
    )


pattern_option = click.option(
    "--pattern", metavar="NAME|REGEX", help="Where texts are cut: gpt2, cl100k, o200k, or a regular expression."
)


def find_tokenizer(source: str, pattern: str | None = None, plugins: Plugins = ()) -> Tokenizer:
    """The tokenizer behind a path or a run's name. Raises DataError, ConfigurationError or CheckpointError."""
    path = locate(source)
    if path.suffix == ".json" and isinstance(use := (state := read_object(path)).get("use"), str):  # microgpt's own
        found: Tokenizer = load(builtin, plugins).get("tokenizers", use).from_dict(state)
        return found
    return Bpe(boundary=None).use(read_vocabulary(path, pattern))


def locate(source: str) -> Path:
    """The file, or the folder with vocab.json and merges.txt."""
    path = Path(source)
    if path.is_file() or holds_vocabulary(path):
        return path
    if (path / TOKENIZER).is_file():
        return path / TOKENIZER
    if half := [name for name in NAMES if (path / name).is_file()]:
        raise DataError(f"{source}: there is only {half[0]} in it, which is no vocabulary by itself; expected {WHAT}")
    if path.suffix and not path.is_dir():
        raise DataError(f"{source}: there is no such file; expected {WHAT}. Make one: microgpt tokenizer train FILES")
    return model_folder(find_run(source)) / TOKENIZER


def find_or_learn(
    source: str, texts: Callable[[], Iterable[str]], pattern: str | None = None, plugins: Plugins = ()
) -> Tokenizer:
    """As `find_tokenizer`; where nothing lies at `source`, and it names a component, that, learned from the texts."""
    registry = load(builtin, plugins)
    if not Path(source).exists() and source in registry.names("tokenizers"):
        made: Tokenizer = registry.get("tokenizers", source)()
        return made.train(texts())
    if not Path(source).suffix and (meant := nearest(source, registry.names("tokenizers"))):
        try:
            return find_tokenizer(source, pattern, plugins)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}{meant}") from None
    return find_tokenizer(source, pattern, plugins)
