"""A language model asked directly: its logits, its loss on a text, and questions that make no sense."""

import pytest

from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import ConfigurationError, DataError, ShapeError
from microgpt_core.inference.language_model import LanguageModel, find_in_core
from microgpt_core.models.gpt import GPT
from microgpt_core.text.batch import padded
from microgpt_core.text.char import Char
from microgpt_core.training.loss import BatchLoss


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_logits_have_a_row_for_each_token(make_model, char: Char, precision: str) -> None:
    model = LanguageModel(make_model(precision), char)
    logits = model.logits([[1, 5, 3], [0, 0, 2]])
    assert (logits.shape, logits.dtype) == ((2, 3, 6), precision)
    for b, ids in enumerate([[1, 5, 3], [0, 0, 2]]):
        alone = model.model(tensor([ids], "int32"), tensor([[0, 1, 2]], "int32"))
        assert logits.tolist()[b] == alone.tolist()[0]
        assert model.logits([ids[:1]]).tolist()[0][0] == logits.tolist()[b][0]


def test_logits_stay_when_others_are_asked_for(language_model: LanguageModel) -> None:
    first = language_model.logits([[1, 2]])
    before = first.tolist()
    second = language_model.logits([[3, 4]])
    assert first.tolist() == before != second.tolist()


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([1, 5, 3], DataError, r"shape \(3,\), expected \(B, T\) with T at most 11"),
        ([[[1]]], DataError, r"shape \(1, 1, 1\), expected \(B, T\)"),
        ([[0] * 12], DataError, r"shape \(1, 12\), expected \(B, T\) with T at most 11"),
        ([[6]], DataError, "id 6 "),
        ([[0, -1]], DataError, "id -1 "),
        ([[0, 1], [2]], ShapeError, "lists of one length"),
        ([[]], ShapeError, "empty axis"),
        ([], ShapeError, "empty axis"),
        ([[0.5]], ShapeError, "int32"),
        ([["a"]], ShapeError, "."),
    ],
)
def test_tokens_that_make_no_sense_are_refused(language_model: LanguageModel, tokens, error, message: str) -> None:
    with pytest.raises(error, match=message):
        language_model.logits(tokens)


@pytest.mark.parametrize("batching", ["documents", "packed"])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_loss_is_per_token_over_all_documents(make_model, char: Char, batching: str, batch_size: int) -> None:
    model = LanguageModel(make_model("float64"), char)
    documents = ["abc", "e", "deadbee", "cab"]
    rows = [[0, *char.encode(text), 0] for text in documents]
    expected = BatchLoss(model.model).evaluate([padded(rows)])
    assert model.loss(documents, batching, batch_size) == pytest.approx(expected, rel=1e-13)


def test_the_loss_of_one_long_text(make_model, char: Char) -> None:
    model = LanguageModel(make_model("float64"), char)
    stream = [0, *char.encode("abcde" * 20), 0]
    pieces = [stream[i : i + 12] for i in range(0, 101, 11)]  # ids overlap by the one that is target, then token
    each = [BatchLoss(model.model).evaluate([padded([piece])]) * (len(piece) - 1) for piece in pieces]
    assert model.loss(["abcde" * 20], "random_window", 3) == pytest.approx(sum(each) / 101, rel=1e-13)


@pytest.mark.parametrize(
    ("documents", "message"), [([], "no documents"), (["abc", "axe"], "document 1: unknown character 'x'")]
)
def test_a_text_without_a_loss_is_refused(language_model: LanguageModel, documents: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        language_model.loss(documents)


def test_the_core_knows_its_own_components() -> None:
    assert find_in_core("models", "gpt") is GPT
    assert find_in_core("tokenizers", "char") is Char
    assert find_in_core("ops", "relu").name == "relu"


def test_one_text_is_the_first_of_many(language_model: LanguageModel) -> None:
    model = language_model
    assert model.generate("a", seed=3) == model.generate_many(["a", "b"], seed=3)[0]
    assert model.generate("a", seed=3) != model.generate_many(["b", "a"], seed=3)[1]


@pytest.mark.parametrize("ask", [lambda m: m.generate_many("ab"), lambda m: m.evaluate("ab")])
def test_a_text_is_no_list_of_texts(language_model: LanguageModel, ask) -> None:
    with pytest.raises(ConfigurationError, match="a list"):
        ask(language_model)
