"""`reverse` is `char` in a mirror: the same characters and bos, numbered from the other end."""

from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core.errors import CheckpointError, DataError
from microgpt_core.text.char import Char
from microgpt_reverse.reverse import Reverse

NAMES = ["emma", "olivia", "ava", "zoë"]


def test_ids_by_hand() -> None:
    tokenizer = Reverse().train(["cab", "bad"])
    assert tokenizer.encode("abcd") == [3, 2, 1, 0]
    assert (tokenizer.bos, tokenizer.vocab_size) == (4, 5)
    assert tokenizer.decode([4, 0, 1, 4]) == "dc"


def test_it_is_char_in_a_mirror() -> None:
    mirror, char = Reverse().train(NAMES), Char().train(NAMES)
    last = char.vocab_size - 1
    assert mirror.vocab_size == char.vocab_size
    assert mirror.bos == last - char.bos
    for name in NAMES:
        assert mirror.encode(name) == [last - i for i in char.encode(name)]


@pytest.mark.parametrize(
    ("attempt", "error", "said"),
    [
        (lambda t: t.encode("x-ray"), DataError, "'-' is none of 'zvomliea"),
        (lambda t: t.decode([8, 9]), DataError, "id 9 is none of 0 to 8"),
        (lambda t: t.decode([-1]), DataError, "id -1 is none of 0 to 8"),
        (lambda t: t.from_dict({"characters": 3}), CheckpointError, "`characters` is 3, expected text"),
    ],
)
def test_mistakes_are_said(attempt, error, said) -> None:
    tokenizer = Reverse().train(["emma", "olivia", "zoe"])
    with pytest.raises(error, match=said):
        attempt(tokenizer)


def test_a_run_learns_with_it_and_its_model_reads_it_back(tmp_path: Path) -> None:
    settings = {"train.max_steps": 20, "tokenizer": "reverse", "stages": ["train"]}
    run = mg.run("names", settings, output=tmp_path / "run")
    assert run.result.train_loss < 2.9  # guessing costs ln 27 = 3.3
    again = mg.load(tmp_path / "run")
    assert again.generate("em", seed=1) == run.model.generate("em", seed=1)
