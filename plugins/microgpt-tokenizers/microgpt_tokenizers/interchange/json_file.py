"""A JSON file with one object in it, from whoever wrote it."""

import json
from pathlib import Path
from typing import Any

from microgpt_core.errors import DataError


def read_object(path: Path) -> dict[str, Any]:
    """Raises DataError where the file can't be read or holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: it isn't JSON ({error}); it is damaged, or no vocabulary: fetch it or make it anew"
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: found {type(found).__name__}, expected a JSON object")
    return found
