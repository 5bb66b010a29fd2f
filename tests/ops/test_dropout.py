"""Dropout: what is kept is a function of seed, step, row, stream and place, and as much as was asked for."""

import pytest

from microgpt_core import ops
from microgpt_core.components import philox
from microgpt_core.engine.tensor import tensor

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the known answers that the paper's authors publish
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_has_the_known_answers(counter, key, expected) -> None:
    assert philox(counter, key) == expected


def kept(shape=(4, 3, 5), noise=(1, 2, 0), p=0.5, stream=0) -> list[list[list[float]]]:
    x = tensor([[[1.0] * shape[2]] * shape[1]] * shape[0])
    return ops.dropout(x, tensor(list(noise), "int32"), p=p, stream=stream).tolist()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_as_much_is_kept_as_was_asked_for_and_the_mean_stays(p: float) -> None:
    numbers = [v for sheet in kept((20, 50, 20), p=p) for row in sheet for v in row]
    assert sorted(set(numbers)) == pytest.approx([0.0, 1 / (1 - p)])
    share, n = sum(v > 0 for v in numbers) / len(numbers), len(numbers)
    assert abs(share - (1 - p)) < 4 * (p * (1 - p) / n) ** 0.5
    assert sum(numbers) / n == pytest.approx(1.0, abs=4 * (p / (1 - p) / n) ** 0.5)


def test_nothing_is_dropped_at_0() -> None:
    assert {v for sheet in kept(p=0.0) for row in sheet for v in row} == {1.0}


def test_a_step_s_rows_are_the_same_however_it_is_cut_into_batches() -> None:
    whole = kept((4, 3, 5))
    assert kept((1, 3, 5), noise=(1, 2, 0)) + kept((3, 3, 5), noise=(1, 2, 1)) == whole


@pytest.mark.parametrize("change", [{"noise": (2, 2, 0)}, {"noise": (1, 3, 0)}, {"noise": (1, 2, 4)}, {"stream": 1}])
def test_every_seed_step_row_and_stream_has_its_own(change: dict) -> None:
    assert kept(**change) != kept()


def test_rows_differ() -> None:
    first, *others = kept((8, 3, 5))
    assert first not in others
