"""How texts go on: settings that make no sense, and the random streams of samples."""

import math

import pytest

from microgpt_core.errors import ConfigurationError
from microgpt_core.inference.sampling import Sampling, sample_rng

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": -0.1}, "temperature: found -0.1"),
        ({"temperature": NAN}, "temperature: found nan"),
        ({"temperature": INF}, "temperature: found inf"),
        ({"top_k": 0}, "top_k: found 0, allowed: 1 or more"),
        ({"top_k": -3}, "top_k: found -3"),
        ({"top_p": 0.0}, "top_p: found 0.0"),
        ({"top_p": 1.1}, "top_p: found 1.1"),
        ({"top_p": NAN}, "top_p: found nan"),
        ({"max_new_tokens": -1}, "max_new_tokens: found -1, allowed: 0 or more"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Sampling(**fields)


def test_every_sample_has_a_stream_of_its_own() -> None:
    first = [sample_rng(1, i).random() for i in range(50)]
    assert first == [sample_rng(1, i).random() for i in range(50)]
    assert len({*first, *(sample_rng(2, i).random() for i in range(50)), *(sample_rng(None, 0).random(),)}) == 101
