"""Pictures of lines: the format that was asked for, the same file each time, and what is said without matplotlib."""

import builtins
from pathlib import Path
from typing import Any

import pytest

from microgpt_core.cli.plot import save_lines
from microgpt_core.errors import ConfigurationError, MicrogptError

LINES = {"a": ([0, 1, 2], [1.0, 0.5, 0.25]), "b": ([0, 2], [0.0, 1.0])}
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def draw(path: Path, **others: Any) -> bytes:
    save_lines(path, "title", "steps", "factor", others.pop("lines", LINES), **others)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", STARTS)
def test_the_suffix_says_the_format_and_the_same_lines_give_the_same_file(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    first, again = (draw(tmp_path / f"{name}.{suffix}", mark=(1.0, "here")) for name in "ab")
    assert first.startswith(STARTS[suffix])
    assert first == again


def test_other_lines_give_another_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    moved = {**LINES, "b": ([0, 2], [0.0, 0.9])}
    assert draw(tmp_path / "a.svg") != draw(tmp_path / "b.svg", lines=moved)
    assert draw(tmp_path / "a.svg") != draw(tmp_path / "b.svg", mark=(1.0, "here"))


@pytest.mark.parametrize("name", ["picture", "picture.jpeg"])
def test_a_format_that_is_not_known(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"allowed: \.png, \.svg, \.pdf"):
        draw(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder .*no to write it into; make it first"):
        draw(tmp_path / "no" / "a.png")


def test_without_matplotlib_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **others: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return imported(name, *rest, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MicrogptError, match="microgpt plugins install matplotlib"):
        draw(tmp_path / "a.png")
