"""Evaluation: every token of every document is predicted once, and the figures are what the logits say."""

import json
from array import array
from math import exp, fsum, log
from statistics import fmean

import pytest

from microgpt_core.components import flat
from microgpt_core.errors import DataError, NonFiniteError
from microgpt_core.inference.evaluation import windows, with_perplexity
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.ops.sample import probabilities
from microgpt_core.text.batches import IGNORED
from microgpt_core.text.char import Char

DOCUMENTS = {
    "short": ["abc", "e", "deadbee", "cab"],
    "as long as the block, and one more": ["abcdeabcde", "abcdeabcdea", "abcdeabcdeab"],
    "far longer": ["edcba" * 9, "a", "bcd" * 11, "abcde" * 3 + "d"],
}
UNICODE = ["né", "漢字", "e\u0301", "😀n"]


def direct(model: LanguageModel, documents: list[str]) -> list[list[float]]:
    """The nats of each token of each document, each from logits that were asked for it alone.

    A token that a whole block can't reach back from is predicted from a window that begins half a block before it,
    or before one of the tokens since.
    """
    size, bos = model.model.block_size, model.tokenizer.bos
    new, nats = size - size // 2, []
    for text in documents:
        edge = [] if bos is None else [bos]
        ids = [*edge, *model.tokenizer.encode(text), *edge]
        nats.append([])
        for at in range(len(ids) - 1):
            start = 0 if at < size else size - size // 2 + (at - size) // new * new
            logits = model.logits([ids[start : at + 1]]).tolist()[0][-1]
            nats[-1].append(-log(probabilities(logits, 1.0, None, None)[ids[at + 1]]))
    return nats


@pytest.mark.parametrize("block_size", [1, 2, 7, 11, 12])
@pytest.mark.parametrize("add_bos", [True, False])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_figures_are_those_of_the_logits(make_model, name: str, add_bos: bool, block_size: int) -> None:
    documents = [text + "a" * (not add_bos) for text in DOCUMENTS[name]]  # without BOS, one token predicts nothing
    tokenizer = Char(add_bos=add_bos).train(["abcde"])
    model = LanguageModel(make_model("float64", block_size, tokenizer.vocab_size), tokenizer)
    nats = direct(model, documents)
    total, n_tokens = fsum(map(fsum, nats)), sum(map(len, nats))
    document_loss, characters = fmean(map(fmean, nats)), sum(map(len, documents))
    assert n_tokens == characters + len(documents) * (1 if add_bos else -1)
    assert model.evaluate(documents) == pytest.approx(
        {
            "loss": total / n_tokens,
            "perplexity": exp(total / n_tokens),
            "document_loss": document_loss,
            "document_perplexity": exp(document_loss),
            "bits_per_character": total / log(2) / characters,
            "bits_per_byte": total / log(2) / characters,
            "documents": len(documents),
            "tokens": n_tokens,
            "characters": characters,
            "bytes": characters,
        },
        rel=1e-12,
    )


def test_documents_that_fit_into_a_block_lose_what_a_batch_of_them_loses(make_model, char: Char) -> None:
    for precision, rel in (("float64", 1e-13), ("float32", 1e-6)):
        model = LanguageModel(make_model(precision), char)
        found = model.evaluate(DOCUMENTS["short"])
        assert found["loss"] == pytest.approx(model.loss(DOCUMENTS["short"]), rel=rel)
        assert found["loss"] != pytest.approx(found["document_loss"], rel=1e-3)  # lengths differ, so weights do


def test_characters_are_no_bytes(make_model) -> None:
    tokenizer = Char().train(UNICODE)
    model = LanguageModel(make_model("float64", vocab_size=tokenizer.vocab_size), tokenizer)
    found = model.evaluate(UNICODE)
    assert [found[name] for name in ("documents", "tokens", "characters", "bytes")] == [4, 12, 8, 3 + 6 + 3 + 5]
    bits = found["loss"] * 12 / log(2)
    assert found["bits_per_character"] * 8 == pytest.approx(bits, rel=1e-12)
    assert found["bits_per_byte"] * 17 == pytest.approx(bits, rel=1e-12)


def test_a_model_that_only_guesses_needs_the_bits_of_a_guess(make_model) -> None:
    """All logits equal: log2 of the vocabulary for each token, with one more token a document than characters."""
    model = LanguageModel(make_model("float64", init_std=0.0), Char().train(["abcde"]))
    found = model.evaluate(["abc", "deadbeef"[:7]])
    assert [found["perplexity"], found["document_perplexity"]] == pytest.approx([6, 6], rel=1e-12)
    assert found["bits_per_character"] == pytest.approx(log(6) / log(2) * 12 / 10, rel=1e-12)


@pytest.mark.parametrize("block_size", [1, 2, 3, 8, 11, 64])
@pytest.mark.parametrize("n", [2, 3, 11, 12, 13, 100])
def test_windows_predict_every_token_once_and_in_few_shapes(block_size: int, n: int) -> None:
    ids = list(range(1000, 1000 + n))
    found, shapes = [], set()
    for window in windows(ids, block_size):
        counted = [t for t in window.targets if t != IGNORED]
        assert window.n_targets == len(counted)
        for token, target in zip(window.tokens, window.targets):
            assert target in (IGNORED, token + 1)  # what is predicted is what comes next
        before = window.targets.index(counted[0])
        assert before == (block_size // 2 if found else 0)
        found += counted
        shapes.add(window.shape)
        assert window.shape[1] <= block_size
    assert found == ids[1:]
    assert len(shapes) <= 2


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "no text to evaluate"),
        (["", ""], "no text to evaluate"),
        (["abc", "axe"], "document 1: unknown character 'x'"),
    ],
)
def test_a_text_that_has_no_loss_is_refused(language_model: LanguageModel, documents: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        language_model.evaluate(documents)


def test_without_bos_a_document_of_one_token_predicts_nothing(make_model) -> None:
    model = LanguageModel(make_model(vocab_size=5), Char(add_bos=False).train(["abcde"]))
    with pytest.raises(DataError, match=r"document 1 has 1 token\(s\); at least 2 are needed"):
        model.evaluate(["ab", "c"])


def test_a_loss_beyond_any_perplexity_is_still_told(language_model: LanguageModel) -> None:
    """e^1000 is no float and infinity no JSON; 700 is the control."""
    assert with_perplexity(700.0) == {"loss": 700.0, "perplexity": exp(700.0)}
    assert with_perplexity(1000.0, "document_") == {"document_loss": 1000.0}
    flat(language_model.model.lm_head.weight.data)[:] = array(
        "f", [1e6 * x for x in flat(language_model.model.lm_head.weight.data)]
    )
    found = language_model.evaluate(["abc", "deadbee"])
    assert found["loss"] > 1000
    assert "perplexity" not in found
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_damaged_weights_are_named(language_model: LanguageModel) -> None:
    language_model.model.lm_head.weight.data[2, 2] = float("nan")
    with pytest.raises(NonFiniteError, match="damaged weights"):
        language_model.evaluate(["abc"])
