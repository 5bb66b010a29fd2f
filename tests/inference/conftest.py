"""A small model whose logits differ from token to token, and the tokenizer it goes with."""

import random
from collections.abc import Callable

import pytest

from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.gpt import GPT
from microgpt_core.text.char import Char

BLOCK_SIZE = 11


def lively(
    precision: str = "float32", block_size: int = BLOCK_SIZE, vocab_size: int = 6, cls: type[GPT] = GPT, **fields
) -> GPT:
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 8, "init_std": 0.3, "init_output_std": 0.3, **fields}
    model = cls(vocab_size=vocab_size, block_size=block_size, **sizes)
    model.allocate(precision)
    model.initialise(random.Random(12))
    return model


@pytest.fixture
def make_model() -> Callable[..., GPT]:
    return lively


@pytest.fixture
def char() -> Char:
    """Ids 1 to 5 are a to e, 0 is BOS."""
    return Char().train(["abcde"])


@pytest.fixture
def language_model(char: Char) -> LanguageModel:
    return LanguageModel(lively(), char)
