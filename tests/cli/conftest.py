"""Commands that manage packs are tried on packs made for the test, as the loader is."""

import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location("packs", Path(__file__).parents[1] / "plugins" / "conftest.py")
assert spec is not None
assert spec.loader is not None
packs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(packs)
install = packs.install  # the fixture
