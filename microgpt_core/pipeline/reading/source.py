"""Where a pipeline's text comes from: a YAML file, or one inside the package. What it says is read elsewhere."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from microgpt_core.errors import ConfigurationError, UnknownNameError, nearest
from microgpt_core.pipeline.reading.problems import PipelineError, Place, Problem
from microgpt_core.pipeline.reading.yaml_reader import MAX_BYTES

SUFFIXES = (".yaml", ".yml")


def packaged() -> dict[str, Traversable]:
    """The pipelines inside the package, by name."""
    return {Path(file.name).stem: file for file in files(__package__).joinpath("pipelines").iterdir()}


def find(source: str | Path) -> tuple[str, str]:
    """A pipeline's text, and what to call it. Raises where there is none of this name."""
    if file := packaged().get(str(source)):
        return file.read_text(encoding="utf-8"), file.name
    path = Path(source)
    if path.is_file():
        return decode(path), str(source)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        near = nearest(path.name, [f.name for f in path.parent.glob("*") if f.suffix in SUFFIXES])
        raise ConfigurationError(f"{source}: there is no such file{near}")
    raise UnknownNameError(
        "pipeline", str(source), packaged(), "A file of your own is named with its suffix: ./mine.yaml"
    )


def decode(path: Path) -> str:
    """A file's text, unless it is too large. Raises PipelineError at the first byte that isn't UTF-8."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise PipelineError([Problem(Place(str(path), 1, 1, ""), f"the file is larger than {MAX_BYTES:,} bytes")])
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start)
        before = raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8-sig")
        place = Place(str(path), line + 1, len(before) + 1, before)
        raise PipelineError(
            [Problem(place, f"byte 0x{raw[error.start]:02X} isn't UTF-8; save the file as UTF-8")]
        ) from None
