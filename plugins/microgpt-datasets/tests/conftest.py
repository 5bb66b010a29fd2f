"""What the tests share: files in a folder, and problems said about a pipeline on them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.pipeline.check import check

Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes a file of a name into the folder of the test."""

    def put(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    return put


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """What `microgpt check` says of a pipeline with this `dataset:` (and whatever follows)."""
    monkeypatch.chdir(tmp_path)

    def problem(text: str) -> str:
        (tmp_path / "mine.yaml").write_text(f"dataset: {text}\n", encoding="utf-8", newline="\n")
        with pytest.raises((ConfigurationError, DataError)) as caught:
            check("mine.yaml")
        return str(caught.value)

    return problem
