"""A session: however texts are cut into reads, and whatever is read beside them, the logits are those of the whole
text, bit for bit.
"""

import random
from array import array

import pytest

from microgpt_core.engine.region import Region, aligned
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import DataError
from microgpt_core.inference.sampling import Sampling
from microgpt_core.inference.session import Session
from microgpt_core.models.gpt import GPT

PRECISIONS = ("float32", "float64")

# Of the small model of conftest.py, what differs.
MODELS = {
    "plain": {},
    "one layer": {"n_layer": 1},
    "gpt2": {
        "activation": "gelu_tanh", "norm": "layernorm", "norm_weight": True, "norm_bias": True, "norm_final": True,
        "norm_embedding": False, "bias": True, "tie_weights": True,
    },
    "llama": {
        "activation": "swiglu", "norm_weight": True, "norm_final": True, "norm_embedding": False, "position": "rope",
        "n_head": 4, "n_kv_head": 2,
    },
    "multi-query": {"n_kv_head": 1},
    "window": {"window": 3},
    "rope with a window": {"position": "rope", "window": 4, "block_size": 16},
    "sinusoidal": {"position": "sinusoidal"},
    "no positions": {"position": "none"},
    "post-norm": {"norm_placement": "post"},
}  # fmt: skip


class Uncached(GPT):
    """The same model, which keeps nothing: it reads its whole text again each time."""

    def caches(self, start, rows: int) -> list:
        return []


def text(n: int) -> list[int]:
    return [random.Random(n).randrange(6) for _ in range(n)]


def uncached(model, ids: list[int]) -> list[list[float]]:
    """The logits after each token, computed at once and without a cache."""
    return model(tensor([ids], "int32"), tensor([list(range(len(ids)))], "int32")).tolist()[0]


def cut(rng: random.Random, ids: list[int]) -> list[list[int]]:
    """Pieces of a text, most of them a single token, some none: then the row is idle."""
    pieces, at = [], 0
    while at < len(ids):
        pieces.append(ids[at : at + rng.choice([0, 1, 1, 1, 1, rng.randrange(len(ids))])])
        at += len(pieces[-1])
    return pieces


def check_rows(model: GPT, plans: list[list[list[list[int]]]]) -> None:
    """Read each row's texts, given in pieces, one text after the other, all rows side by side.

    Rows come to their ends at different times, and begin again while others are in the middle.
    """
    session = Session(model, rows=len(plans))
    queues = [[(pieces, k) for pieces in texts for k in range(len(pieces))] for texts in plans]
    while any(queues):
        now = [queue.pop(0) if queue else ([[]], 0) for queue in queues]
        for row, (_, k) in enumerate(now):
            if k == 0:
                session.reset(row)
        for (pieces, k), logits in zip(now, session.read([pieces[k] for pieces, k in now])):
            so_far = [i for piece in pieces[: k + 1] for i in piece]
            assert logits == (uncached(model, so_far)[-1] if pieces[k] else [])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("cls", [GPT, Uncached])
def test_rows_side_by_side_equal_each_text_alone(make_model, cls: type[GPT], name: str, precision: str) -> None:
    """Texts of one token to a whole block; prompts at once, the rest token by token, and any cuts."""
    model, rng = make_model(precision, cls=cls, **MODELS[name]), random.Random(7)
    size = model.block_size

    def any_text() -> list[list[int]]:
        return cut(rng, text(rng.randrange(1, size + 1)))

    whole, half = text(size), text(size + 1)[:size]
    check_rows(
        model,
        [
            [[text(1)], any_text(), any_text()],
            [[whole], [[i] for i in text(3)], any_text()],
            [[half[: size // 2], *([i] for i in half[size // 2 :])], any_text()],
            [[whole[: size - 1], whole[size - 1 :]], any_text(), any_text()],
        ],
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("window", [None, 66])
def test_texts_of_more_than_a_tile_too(make_model, window: int | None, precision: str) -> None:
    """Attention looks at 64 keys at a time."""
    model, ids = make_model(precision, block_size=70, n_layer=1, window=window), text(70)
    session, expected = Session(model, rows=2), uncached(model, ids)
    assert session.read([ids[:37], ids[:61]]) == [expected[36], expected[60]]
    for at in range(37, 70):
        other = ids[at + 24 : at + 25]
        found = session.read([[ids[at]], other])
        assert found == [expected[at], expected[at + 24] if other else []]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n", range(1, 12))
def test_a_prompt_of_any_length_equals_the_whole_text(make_model, precision: str, n: int) -> None:
    """Prompts are read in lengths of powers of two: the padding shows nowhere, then or later."""
    model, ids = make_model(precision), text(11)
    expected, session = uncached(model, ids), Session(model)
    assert session.read([ids[:n]]) == [expected[n - 1]]
    assert [session.read([[i]]) for i in ids[n:]] == [[logits] for logits in expected[n:]]


def test_any_cut_equals_the_whole_text(make_model) -> None:
    model, rng = make_model(), random.Random(3)
    session = Session(model)
    for _ in range(60):
        ids = [rng.randrange(6) for _ in range(rng.randrange(1, 12))]
        expected, at = uncached(model, ids), 0
        session.reset()
        while at < len(ids):
            n = rng.randrange(1, len(ids) - at + 1)
            assert session.read([ids[at : at + n]]) == [expected[at + n - 1]]
            at += n
    assert session._plan.captures == 5  # 1, 2, 4, 8 and 11


def test_a_row_near_its_end_reads_again_what_it_has_read(make_model, monkeypatch: pytest.MonkeyPatch) -> None:
    """No position is beyond the block, and nothing is written beyond the cache: ten tokens, then eight elsewhere."""
    model, ids = make_model(), text(11)
    session, expected = Session(model, rows=2), uncached(model, ids)
    session.read([ids[:10], []])
    seen, plan = [], session._plan
    session._plan = lambda tokens, positions: (
        seen.append((tokens.tolist(), positions.tolist())) or plan(tokens, positions)
    )
    assert session.read([ids[10:], ids[:5]]) == [expected[10], expected[4]]
    assert seen == [([ids[3:], [*ids[:5], 0, 0, 0]], [list(range(3, 11)), list(range(8))])]


@pytest.mark.parametrize("broken", ["never written", "written where the first row's go"])
def test_a_broken_cache_would_be_noticed(make_model, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """The positive control."""
    from microgpt_core.ops.cache_write import CacheWrite

    def write(self, cache, x, start) -> None:
        if broken != "never written":
            forward(self, cache, x, array("i", [start[0]] * len(start)))

    forward = CacheWrite.forward
    model, alone = make_model(), [[[i] for i in text(11)]]
    monkeypatch.setattr(CacheWrite, "forward", write)
    with pytest.raises(AssertionError):
        check_rows(model, [alone, [[text(7), [1], [2]]]])


def test_a_few_plans_serve_every_prompt(make_model) -> None:
    session = Session(make_model(block_size=64))
    for n in range(1, 65):
        session.reset()
        session.read([[0] * n])
    assert session._plan.captures == 7  # 1, 2, 4, ... 64


def test_a_new_token_costs_the_same_wherever_it_stands(make_model) -> None:
    """One plan reads it, at the first place and the last; without a cache the whole text is read again."""
    flops: dict[type, list[int]] = {}
    for cls in (GPT, Uncached):
        session = Session(make_model(block_size=32, cls=cls))
        for i in range(32):
            session.read([[i % 6]])
            flops.setdefault(cls, []).append(session._plan.plan.flops)
        assert session._plan.captures == (1 if cls is GPT else 6)
    assert len(set(flops[GPT])) == 1
    assert flops[Uncached][31] > 20 * flops[GPT][31]


def test_all_plans_share_a_region_and_all_sessions_the_parameters(make_model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a second session is its caches and its largest plan's region, nothing else."""
    model, taken, take = make_model(n_layer=2, block_size=32), [], Region._map
    Session(model).read([[1]])
    monkeypatch.setattr(Region, "_map", staticmethod(lambda nbytes: taken.append(nbytes) or take(nbytes)))
    session = Session(model, rows=3)
    for n in (32, 1, 5, 13):  # the longest first: a region that grows would take new memory
        session.reset()
        session.read([[0] * n, [1], []])
    replays = [replay for replay, _ in session._plan._replays.values()]
    assert len(replays) == 4
    assert {id(replay.region) for replay in replays} == {id(session._plan.region)}
    largest = max(replay.plan.region_bytes for replay in replays)
    caches = 2 * 2 * aligned(4 * 3 * 32 * model.n_embd)  # keys and values, two layers, float32
    assert sorted(n for n in taken if n > 1) == sorted([caches, largest])
    parameters = {p.value for p in model.parameters()}
    for replay in replays:
        assert parameters <= {value for value, _ in replay._outside}


def test_room_is_what_is_left_in_each_row(make_model) -> None:
    session = Session(make_model(), rows=2)
    assert [session.room(), session.room(1)] == [11, 11]
    session.read([[1, 2, 3], [4]])
    assert [session.room(0), session.room(1)] == [8, 10]
    with pytest.raises(DataError, match="row 0 of 11 tokens has room for 8 more, found 9"):
        session.read([[0] * 9, [0]])
    assert [session.room(0), session.room(1)] == [8, 10]
    session.read([[0] * 8, []])
    with pytest.raises(DataError, match="room for 0 more, found 1"):
        session.read([[0], [0]])
    session.reset(1)
    assert [session.room(0), session.room(1)] == [0, 11]
    session.reset()
    assert [session.room(0), session.room(1)] == [11, 11]


def test_an_idle_row_keeps_its_logits(make_model) -> None:
    model, ids = make_model(), text(3)
    session, expected = Session(model, rows=2), uncached(model, ids)
    session.advance([ids[:1], ids])
    first = session.logits.tolist()
    assert first == [expected[0], expected[2]]
    session.advance([ids[1:2], []])
    assert session.logits.tolist()[1] == first[1]
    assert session.logits.tolist()[0] != first[0]
    session.advance([[], []])
    assert session.logits.tolist()[1] == first[1]


def test_tokens_that_pad_a_head_are_never_chosen(make_model) -> None:
    """A vocabulary may be rounded up for speed; nobody could say what such a token means."""
    model = make_model()
    expected = uncached(model, [1])[0]
    model.vocab_size = 4
    session = Session(model)
    assert session.read([[1]]) == [expected[:4]]
    ((token, _, _),) = session.choose([2**31 - 1], Sampling(1e30))
    assert token == 3


def test_choosing_is_captured_once_for_what_is_asked(make_model) -> None:
    session = Session(make_model())
    session.advance([[1]])
    found, made = [], []
    for sampling in (Sampling(0.5), Sampling(0.5), Sampling(0.7), Sampling(0.5, top_k=1)):
        found.append(session.choose([2**30], sampling))
        made.append(session._choice[sampling])
    assert found[0] == found[1]
    assert len({id(each) for each in made}) == 3
    assert all(each.captures == 1 for each in made)


def test_where_no_row_has_anything_to_read_nothing_is_read(make_model) -> None:
    session = Session(make_model(), rows=2)
    assert session.read([[], []]) == [[], []]
    assert session._plan.captures == 0


@pytest.mark.parametrize("tokens", [[], [[1]], [[1], [2], [3]]])
def test_there_is_a_list_for_each_row(make_model, tokens: list[list[int]]) -> None:
    with pytest.raises(DataError, match=f"2 row.* takes a list of tokens for each, found {len(tokens)}"):
        Session(make_model(), rows=2).read(tokens)


@pytest.mark.parametrize("bad", [6, -1])
def test_a_read_that_fails_leaves_the_session_as_it_was(make_model, bad: int) -> None:
    model, ids = make_model(), text(6)
    session, expected = Session(model, rows=2), uncached(model, ids)
    session.read([ids[:3], ids[:2]])
    with pytest.raises(DataError, match=f"id {bad} "):
        session.read([[ids[3]], [ids[2], bad]])
    assert [session.room(0), session.room(1)] == [8, 9]
    assert session.read([ids[3:], ids[2:5]]) == [expected[5], expected[4]]


def test_sessions_share_parameters_and_nothing_else(make_model) -> None:
    model = make_model()
    one, other = Session(model), Session(model, rows=2)
    ids, others = text(8), text(9)
    expected, others_expected = uncached(model, ids), uncached(model, others)
    for i in range(8):
        assert one.read([[ids[i]]]) == [expected[i]]
        assert other.read([[], [others[i]]]) == [[], others_expected[i]]
    before = one.read([[0]])
    model.lm_head.weight.data[0, 0] += 1.0
    one.reset()
    one.read([ids])
    assert one.read([[0]]) != before


def test_logits_that_were_read_stay(make_model) -> None:
    session = Session(make_model())
    (first,) = session.read([[1]])
    copy = list(first)
    session.read([[2]])
    assert first == copy
