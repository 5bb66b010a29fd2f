"""A dry run says what a run would be, need and take, and leaves nothing: and what it says is what then happens."""

import time
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.pipeline.preview import forecast, timing
from microgpt_core.pipeline.reading.problems import PipelineError

SHORT = {"train.max_steps": 20, "train.eval_interval": 10, "dataset.validation": 0.01, "stages": ["train"]}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_leaves_nothing_and_the_run_is_what_it_said() -> None:
    found = mg.dry_run("names", SHORT)
    assert list(Path().iterdir()) == []
    assert found.refusal == ""
    assert found.seconds > 0
    run = mg.run("names", SHORT)
    assert found.run.folder == run.folder == Path("runs/names-1")
    assert found.pipeline == mg.dry_run("names", SHORT, force=True).pipeline
    assert found.forecast.model.n_parameters == run.network.n_parameters


def test_a_run_that_is_done_already_takes_no_time() -> None:
    run = mg.run("names", SHORT)
    found = mg.dry_run("names", SHORT)
    assert (found.run.folder, found.seconds) == (run.folder, None)
    assert mg.dry_run("names", SHORT, force=True).seconds > 0


def test_where_nothing_is_trained_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "measure", None)
    assert mg.dry_run("names", SHORT | {"stages": ["evaluate"]}).seconds is None


def test_what_wont_fit_is_refused_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "available_memory", lambda: 1000)
    found = mg.dry_run("names", SHORT)
    assert "1.0 kB are free" in found.refusal
    assert (found.seconds, found.to_dict()["go"]) == (None, False)


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        ({"model.n_layer": 0}, PipelineError, "n_layer"),
        ({"dataset": {"use": "text", "path": "nowhere"}}, DataError, "nowhere"),
        ({"dataset.validation": 0, "stages": ["train", "evaluate"]}, ConfigurationError, "held-out text"),
    ],
)
def test_it_raises_what_the_run_would(overrides: dict[str, Any], error: type[Exception], said: str) -> None:
    for act in (mg.dry_run, mg.run):
        with pytest.raises(error, match=said):
            act("names", overrides)


def test_a_folder_that_is_there_is_refused_as_the_run_would() -> None:
    Path("there").mkdir()
    with pytest.raises(ConfigurationError, match="exists already"):
        mg.dry_run("names", SHORT, output="there")


class Clock:
    """A clock that goes on as batches are computed: `per_token` seconds for each of their tokens."""

    def __init__(self, per_token: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.sizes, timed = 0.0, list[int](), timing.timed

        def counted(loss: Any, batch: Any) -> float:
            timed(loss, batch)
            self.sizes.append(len(batch.tokens))
            self.now += per_token * len(batch.tokens)
            return per_token * len(batch.tokens)

        monkeypatch.setattr(timing, "perf_counter", lambda: self.now)
        monkeypatch.setattr(timing, "timed", counted)
        monkeypatch.setattr(timing, "seconds_per_flop", lambda *_: 1e-12)


def test_it_measures_whole_batches_where_they_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(1e-4, monkeypatch)
    found = mg.dry_run("names", SHORT)  # 64 tokens a batch, 20 steps, 2 evaluations of a batch's third, at least
    assert clock.sizes[-1] == 64
    assert clock.sizes.count(64) == timing.MOST_BATCHES + 1
    assert 20 * 64e-4 < found.seconds < 1.5 * 20 * 64e-4


def test_it_stops_before_what_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0.1, monkeypatch)
    found = mg.dry_run("names", SHORT)  # 6.4 seconds a batch
    assert max(clock.sizes) <= 16
    assert clock.now <= 2 * timing.LIMIT
    assert 20 * 6.4 < found.seconds < 1.5 * 20 * 6.4


def test_where_one_token_takes_too_long_a_product_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(1.0, monkeypatch)
    monkeypatch.setattr(timing, "seconds_per_flop", lambda *_: 1e-3)
    assert mg.dry_run("names", SHORT).seconds > 1000
    assert clock.sizes == []


def test_minutes_bound_the_time_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(1e-2, monkeypatch)
    limited = SHORT | {"train.max_steps": None, "train.minutes": 1, "train.eval_interval": 0}
    assert mg.dry_run("names", limited).seconds == pytest.approx(60, rel=0.1)
    assert mg.dry_run("names", limited | {"train.max_steps": 3}).seconds < 60


@pytest.mark.long
def test_the_guess_is_within_a_third_of_what_it_takes() -> None:
    settings = SHORT | {"train.max_steps": 300, "train.eval_interval": 100}
    guess, start = mg.dry_run("names", settings).seconds, time.perf_counter()
    mg.run("names", settings)
    assert guess == pytest.approx(time.perf_counter() - start, rel=0.33)
