"""The kit's checks of every kernel and of the pack, at each level that the processor has, and with more threads."""

import pytest

from microgpt_core.testing import pack_tests
from microgpt_simd.levels import FORCED, levels_here
from microgpt_simd.threads import ASKED

HERE = levels_here()

TestPack = pack_tests("simd")


class Elsewhere(TestPack):  # type: ignore[misc, valid-type]
    """The same with the environment set."""

    level, threads = "", "1"

    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(FORCED, self.level)
        monkeypatch.setenv(ASKED, self.threads)


@pytest.mark.slow
class TestBaseline(Elsewhere):
    level = "baseline"


@pytest.mark.long  # the levels at both ends are tried on every push
@pytest.mark.skipif("avx2" not in HERE, reason="this processor has no AVX2")
class TestAVX2(Elsewhere):
    level = "avx2"


@pytest.mark.slow
class TestThreeThreads(Elsewhere):
    threads = "3"
