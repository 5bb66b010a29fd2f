"""A session: however a text is cut into reads, the logits are those of the whole text, bit for bit."""

import random

import pytest

from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import DataError
from microgpt_core.inference.session import Session

PRECISIONS = ("float32", "float64")


def text(n: int) -> list[int]:
    return [random.Random(n).randrange(6) for _ in range(n)]


def uncached(model, ids: list[int]) -> list[list[float]]:
    """The logits after each token, computed at once and without a cache."""
    return model(tensor([ids], "int32"), tensor([list(range(len(ids)))], "int32")).tolist()[0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_token_by_token_equals_the_whole_text(make_model, precision: str) -> None:
    model, ids = make_model(precision), text(11)
    session = Session(model)
    assert [session.read([i]) for i in ids] == uncached(model, ids)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n", range(1, 12))
def test_a_prompt_of_any_length_equals_the_whole_text(make_model, precision: str, n: int) -> None:
    """Prompts are read in lengths of powers of two: the padding shows nowhere, then or later."""
    model, ids = make_model(precision), text(11)
    expected, session = uncached(model, ids), Session(model)
    assert session.read(ids[:n]) == expected[n - 1]
    assert [session.read([i]) for i in ids[n:]] == expected[n:]


def test_any_cut_equals_the_whole_text(make_model) -> None:
    model, rng = make_model(), random.Random(3)
    session = Session(model)
    for _ in range(60):
        ids = [rng.randrange(6) for _ in range(rng.randrange(1, 12))]
        expected, at = uncached(model, ids), 0
        session.reset()
        while at < len(ids):
            n = rng.randrange(1, len(ids) - at + 1)
            assert session.read(ids[at : at + n]) == expected[at + n - 1]
            at += n
    assert session._plan.captures <= 11


@pytest.mark.parametrize("precision", PRECISIONS)
def test_long_texts_too(make_model, precision: str) -> None:
    model, ids = make_model(precision, block_size=70, n_layer=1), text(70)
    session = Session(model)
    expected = uncached(model, ids)
    assert session.read(ids[:37]) == expected[36]
    assert [session.read([i]) for i in ids[37:]] == expected[37:]


def test_a_cache_that_is_never_written_would_be_noticed(make_model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control."""
    from microgpt_core.ops.cache_write import CacheWrite

    monkeypatch.setattr(CacheWrite, "forward", lambda self, cache, x, start: None)
    model, ids = make_model(), text(11)
    session = Session(model)
    assert [session.read([i]) for i in ids] != uncached(model, ids)


def test_a_few_plans_serve_every_prompt(make_model) -> None:
    session = Session(make_model(block_size=64))
    for n in range(1, 65):
        session.reset()
        session.read([0] * n)
    assert session._plan.captures == 7  # 1, 2, 4, ... 64


def test_room_is_what_is_left(make_model) -> None:
    session = Session(make_model())
    assert session.room == 11
    session.read([1, 2, 3])
    assert session.room == 8
    with pytest.raises(DataError, match="a session of 11 tokens has room for 8 more, found 9"):
        session.read([0] * 9)
    assert session.room == 8
    session.read([0] * 8)
    with pytest.raises(DataError, match="room for 0 more, found 1"):
        session.read([0])
    session.reset()
    assert session.room == 11


def test_nothing_to_read_is_an_error(make_model) -> None:
    with pytest.raises(DataError, match="found 0"):
        Session(make_model()).read([])


@pytest.mark.parametrize("bad", [6, -1])
def test_a_read_that_fails_leaves_the_session_as_it_was(make_model, bad: int) -> None:
    model, ids = make_model(), text(6)
    session = Session(model)
    session.read(ids[:3])
    with pytest.raises(DataError, match=f"id {bad} "):
        session.read([ids[3], bad])
    assert session.room == 8
    assert session.read(ids[3:]) == uncached(model, ids)[-1]


def test_sessions_share_parameters_and_nothing_else(make_model) -> None:
    model = make_model()
    one, other = Session(model), Session(model)
    ids, others = text(8), text(9)
    expected, others_expected = uncached(model, ids), uncached(model, others)
    for i in range(8):
        assert one.read([ids[i]]) == expected[i]
        assert other.read([others[i]]) == others_expected[i]
    before = one.read([0])
    model.lm_head.weight.data[0, 0] += 1.0
    one.reset()
    one.read(ids)
    assert one.read([0]) != before


def test_logits_that_were_read_stay(make_model) -> None:
    session = Session(make_model())
    first = session.read([1])
    copy = list(first)
    session.read([2])
    assert first == copy
