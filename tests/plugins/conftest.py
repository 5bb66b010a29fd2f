"""Packs as installers leave them: a folder with modules and a `.dist-info`, and nothing else installed."""

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install("mish", source)` puts the distribution microgpt-mish with the module mish_pack on the path."""
    site = tmp_path / "site"
    site.mkdir()
    discover = metadata.Distribution.discover
    monkeypatch.setattr(metadata, "distributions", lambda: discover(path=[str(site)]))
    monkeypatch.syspath_prepend(site)
    before = set(sys.modules)

    def install(
        name: str, source: str, distribution: str = "", version: str = "1.0", group: str = "plugins.v1"
    ) -> None:
        distribution = distribution or f"microgpt-{name}"
        module = f"{distribution.replace('-', '_')}_{name}"
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Name: {distribution}\nVersion: {version}\n", encoding="utf-8")
        with open(info / "entry_points.txt", "a", encoding="utf-8") as file:
            file.write(f"[microgpt.{group}]\n{name} = {module}\n")

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("microgpt_") and not name.startswith("microgpt_core"):
            del sys.modules[name]
