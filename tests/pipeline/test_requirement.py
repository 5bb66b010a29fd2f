"""What `plugins:` may ask for."""

import pytest

from microgpt_core.pipeline.reading.requirement import unmet
from microgpt_core.plugins.pack import Pack, PluginError

PACKS = [
    Pack("simd", "microgpt-simd", "0.10.2"),
    Pack("mish", "microgpt_mish", "1.0", state="failed", stage="import", error=ImportError("no c")),
    Pack("off", "microgpt-off", "1.0", state="disabled", error=PluginError("--no-plugin leaves it out")),
    Pack("new", "microgpt-new", "2.0", state="incompatible", error=PluginError("it is made for version 2")),
]


@pytest.mark.parametrize(
    "met", ["microgpt-simd", "microgpt-simd>=0.1", "microgpt_SIMD >= 0.10.2", "microgpt-simd>=0.10.2.0"]
)
def test_met(met: str) -> None:
    assert unmet(met, PACKS) is None


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        (
            "microgpt-simd>=0.11",
            'microgpt-simd 0.10.2 is installed, 0.11 is needed: microgpt plugins install --upgrade "microgpt-simd>=',
        ),
        ("microgpt-simd>=1", "is needed"),
        ("microgpt-torch", "microgpt-torch isn't installed; install it with: microgpt plugins install "),
        (
            "microgpt-mish",
            "pack 'mish' (microgpt_mish 1.0) failed (import): ImportError: no c; try: microgpt plugins install --up",
        ),
        ("microgpt-off", "pack 'off' (microgpt-off 1.0) is disabled: --no-plugin leaves it out"),
        ("microgpt-new", "pack 'new' (microgpt-new 2.0) is incompatible: it is made for version 2"),
        ("microgpt", "expected a pack's distribution"),
        ("microgpt-simd==0.1", "expected a pack's distribution"),
        ("", "expected a pack's distribution"),
        ("mish.py", "--plugin mish.py, or allow what the pipeline names: --allow-code"),
        ("packs/mish", "--plugin packs/mish"),
    ],
)
def test_unmet_says_what_to_do(requirement: str, said: str) -> None:
    assert said in (unmet(requirement, PACKS) or "")
