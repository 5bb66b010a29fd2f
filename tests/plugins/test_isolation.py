"""The time limit of an import, at its edge: it ends the import or leaves it alone, and never hits what comes after."""

import signal
import time

import pytest

from microgpt_core.plugins.isolation import within

LIMIT = 0.004


@pytest.mark.parametrize("late", [-0.0005, 0.0, 0.0005])
def test_an_import_that_takes_as_long_as_it_may(late: float) -> None:
    ended = []
    for _ in range(40):
        try:
            within(LIMIT, lambda: time.sleep(LIMIT + late))
            ended.append("done")
        except TimeoutError:
            ended.append("over")
        time.sleep(0.001)  # where a stray interrupt would raise KeyboardInterrupt
    assert set(ended) <= {"done", "over"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_the_limit_holds_also_where_ctrl_c_is_ignored(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(TimeoutError, match="longer than 0.05 s"):
            within(0.05, lambda: time.sleep(9))
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_still_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        within(9, lambda: signal.raise_signal(signal.SIGINT))
