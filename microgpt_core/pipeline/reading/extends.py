"""`extends: base.yaml`: a pipeline laid over another one, and that perhaps over a third.

Mappings merge key by key; lists and single values replace. A section for another component than the base's replaces
it whole: fields of two components don't mix. Every value remembers the file that it stands in.
"""

from os.path import expanduser
from pathlib import Path
from typing import Any

from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.reading.overrides import forget
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.schema import shown
from microgpt_core.pipeline.reading.settings import COMPONENTS
from microgpt_core.pipeline.reading.source import find, packaged
from microgpt_core.pipeline.reading.yaml_reader import Document, Location, read_yaml

MOST_FILES = 8  # one over the other: nobody finds a value in more


def read_extended(source: str | Path, above: tuple[Path, ...] = ()) -> Document:
    """The document in a file, laid over the one that it extends. `above` are the files that extend this one."""
    text, label = find(source)
    document = read_yaml(text, label)
    if document.data is None:
        document.data = {}  # everything has a default
    if not isinstance(document.data, dict):
        document.problem((), "expected a pipeline's keys, such as `dataset: names`")
        raise PipelineError(document.problems)
    if "extends" not in document.data:
        return document
    base = read_base(document, document.data.pop("extends"), (*above, Path(label).resolve()))
    if base.data.pop("name", None):  # a run is called after the file that was run
        forget(base, ("name",))
    document.data = merged(base, (), base.data, document.data)
    document.keys, document.values = base.keys | document.keys, base.values | document.values
    document.problems = base.problems + document.problems
    return document


def read_base(document: Document, named: Any, files: tuple[Path, ...]) -> Document:
    """What a document extends. Raises PipelineError where that can't be read."""
    try:
        if not isinstance(named, str):
            raise ConfigurationError(f"expected a file, or a packaged pipeline's name, found {shown(named)}")
        source = named if named in packaged() else str(Path(document.source).parent / expanduser(named))
        if source not in packaged() and Path(source).resolve() in files:
            chain = " extends ".join(path.name for path in (*files, Path(source)))
            raise ConfigurationError(f"a file can't extend itself: {chain}")
        if len(files) >= MOST_FILES:
            raise ConfigurationError(f"at most {MOST_FILES} files extend each other; write some of them together")
        return read_extended(source, files)
    except PipelineError as error:
        raise PipelineError([*document.problems, *error.problems]) from None
    except ConfigurationError as error:
        document.problem(("extends",), str(error))
        raise PipelineError(document.problems) from None


def merged(base: Document, path: Location, below: Any, above: Any) -> Any:
    """`above` over `below`, which stands at `path` in the base. What is replaced there is forgotten."""
    section = len(path) == 1 or any(isinstance(value, dict) and "use" in value for value in (below, above))
    if path and path[0] in COMPONENTS and section and isinstance(below, dict | str):
        below, above = ({"use": value} if isinstance(value, str) else value for value in (below, above))
        if isinstance(above, dict) and is_another(path, below, above):
            below = None
    if isinstance(below, dict) and isinstance(above, dict):
        both = {key: merged(base, (*path, key), below[key], above[key]) for key in above if key in below}
        return {**below, **above, **both}
    forget(base, path)
    return above


def is_another(path: Location, below: dict[str, Any], above: dict[str, Any]) -> bool:
    """Whether a section names another component than the base's, or a preset where that has sizes of its own."""
    use = below.get("use", COMPONENTS[str(path[0])][1] if len(path) == 1 else None)
    return above.get("use", use) != use or ("preset" in above and "preset" not in below)
