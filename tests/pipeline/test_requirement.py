"""What `plugins:` may ask for."""

import pytest

from microgpt_core.pipeline.requirement import unmet
from microgpt_core.plugins.pack import Pack

PACKS = [
    Pack("simd", "microgpt-simd", "0.10.2"),
    Pack("mish", "microgpt_mish", "1.0", state="failed", stage="import", error=ImportError("no c")),
    Pack("off", "microgpt-off", "1.0", state="disabled"),
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
            'microgpt-simd 0.10.2 is installed, 0.11 is needed: pip install --upgrade "microgpt-simd>=',
        ),
        ("microgpt-simd>=1", "is needed"),
        ("microgpt-torch", 'microgpt-torch isn\'t installed; install it with: pip install "microgpt-torch"'),
        (
            "microgpt-mish",
            "pack 'mish' (microgpt_mish 1.0) failed (import): ImportError: no c; try: pip install --upgrade",
        ),
        ("microgpt-off", "microgpt-off is disabled"),
        ("microgpt", "expected a pack's distribution"),
        ("microgpt-simd==0.1", "expected a pack's distribution"),
        ("", "expected a pack's distribution"),
        ("mish.py", "--plugin FILE"),
        ("packs/mish", "--plugin FILE"),
    ],
)
def test_unmet_says_what_to_do(requirement: str, said: str) -> None:
    assert said in (unmet(requirement, PACKS) or "")
