"""The golden models: the sizes of the docs' table, the same weights and batches every time."""

import pytest

from microgpt_bench.golden import GOLDEN
from microgpt_core.components.text import IGNORED

# name: parameters, tokens a step, vocabulary, blocks, heads
TABLE = {
    "e16": (4_064, 8, 27, 1, 4),
    "e64": (102_784, 16, 27, 2, 4),
    "e128": (797_440, 32, 27, 4, 4),
    "w16": (4_192, 112, 27, 1, 4),
    "w32": (14_528, 112, 27, 1, 4),
    "w64": (53_632, 112, 27, 1, 4),
    "w128": (205_568, 112, 27, 1, 8),
    "char-small": (811_264, 768, 65, 4, 4),
    "char": (10_765_056, 4096, 65, 6, 6),
    "gpt2": (123_849_984, 1024, 50257, 12, 12),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_sizes_of_the_table(name: str) -> None:
    golden = GOLDEN[name]
    model = golden.shape()
    found = (model.n_parameters, golden.tokens, golden.vocab_size, model.n_layer, model.n_head)
    assert found == TABLE[name]


def test_nothing_else_is_golden() -> None:
    assert list(GOLDEN) == list(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_batches_are_the_same_every_time_and_fit_the_model(name: str) -> None:
    golden = GOLDEN[name]
    batches = golden.batches(3)
    assert batches == golden.batches(3)
    assert len({bytes(batch.tokens) for batch in batches}) == 3
    for batch in batches:
        assert len(batch.tokens) == batch.shape[0] * batch.shape[1] == golden.tokens
        assert batch.n_targets == len(batch.targets) - batch.targets.count(IGNORED)
        assert max(*batch.tokens, *batch.targets) < golden.vocab_size
        assert max(batch.positions) < golden.fields["block_size"]


def test_names_are_packed_whole() -> None:
    for batch in GOLDEN["w16"].batches(5):
        assert batch.shape == (1, 112)
        assert 90 < batch.n_targets <= 112
        starts = [at for at, position in enumerate(batch.positions) if not position]
        assert len(starts) > 7
        assert len({batch.tokens[at] for at in starts if batch.targets[at] != IGNORED}) == 1  # BOS opens each


def test_every_gradient_is_there_to_be_compared() -> None:
    """With output projections of 0 the attention's gradients would be 0 on every machine, right or wrong."""
    model = GOLDEN["e16"].build()
    assert all(any(p.data.cast("B")) for p in model.parameters())
