"""Evaluation: how surprised a model is by a text, per token, per character and per byte. Nothing is left out."""

from array import array
from collections.abc import Iterator, Sequence
from math import isfinite, log
from operator import truediv

from microgpt_core.components import Tokenizer, exp
from microgpt_core.components.text import IGNORED
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.errors import DataError, NonFiniteError
from microgpt_core.inference.session import bucket
from microgpt_core.models.model import Model
from microgpt_core.text.batch import PADDING, Batch, Ids
from microgpt_core.text.batches import encode_documents, framed
from microgpt_core.training.loss import BatchLoss


def evaluate(
    model: Model, tokenizer: Tokenizer, texts: Sequence[str], kernels: Kernels = REFERENCE
) -> dict[str, float]:
    """Let the model predict every token of these documents.

    * `loss`: nats per token, over all tokens, so that a long document weighs more; `perplexity` is e^loss, and left out
      where no float is so large.
    * `document_loss`: the mean over the documents of each one's nats per token; `document_perplexity` likewise.
    * `bits_per_character`, `bits_per_byte`: the loss of all tokens in bits, over the characters (Unicode code
      points) of the documents and over their bytes in UTF-8: models of any vocabulary can be compared by it.
    * `documents`, `tokens`, `characters`, `bytes`: how many there are. With a BOS, a document's tokens are its own and
      the one that ends it; without, the first isn't predicted, so it neither counts nor costs anything.

    Raises DataError for no text, or for a document that the tokenizer can't say or in which there is nothing to
    predict; NonFiniteError where a loss is no finite number.
    """
    ids = encode_documents(tokenizer, texts)
    documents = framed(ids, tokenizer.bos, max(map(len, ids), default=0) + 1)  # that is: uncut
    characters, n_bytes = sum(map(len, texts)), sum(len(text.encode()) for text in texts)
    if not characters:
        raise DataError("there is no text to evaluate: no document has a character")
    measure = BatchLoss(model, kernels=kernels)
    nats = [
        sum(measure.evaluation(*measure.inputs(window, 1.0)).item() for window in windows(document, model.block_size))
        for document in documents
    ]
    total, n_tokens = sum(nats), [len(document) - 1 for document in documents]
    return {
        **with_perplexity(total / sum(n_tokens)),
        **with_perplexity(sum(map(truediv, nats, n_tokens)) / len(nats), "document_"),
        "bits_per_character": total / log(2) / characters, "bits_per_byte": total / log(2) / n_bytes,
        "documents": len(documents), "tokens": sum(n_tokens), "characters": characters, "bytes": n_bytes,
    }  # fmt: skip


def with_perplexity(loss: float, of: str = "") -> dict[str, float]:
    """A loss in nats per token, and e^loss where a float holds it: JSON has no infinity.

    The latter says among how many tokens, all equally likely, the model might as well choose. Raises NonFiniteError
    for a loss that is no finite number.
    """
    if not isfinite(loss):
        raise NonFiniteError("the loss isn't a finite number: damaged weights?")
    return {f"{of}{name}": x for name, x in (("loss", loss), ("perplexity", exp(loss))) if isfinite(x)}


def windows(ids: Ids, block_size: int) -> Iterator[Batch]:
    """A document in windows of a block, so that each token is predicted once.

    Each begins half a block before the first token that it predicts: even there the model sees as much as
    generation leaves it in a long text. The end is padded to a bucket, so that a few plans serve all lengths.
    """
    start = known = 0  # where the window begins, and how many tokens were predicted before it
    while known < len(ids) - 1:
        stop = min(start + block_size, len(ids) - 1)
        length = bucket(stop - start, block_size)
        fill = length - (stop - start)
        tokens = array("i", [*ids[start:stop], *[PADDING] * fill])
        targets = array("i", [*[IGNORED] * (known - start), *ids[known + 1 : stop + 1], *[IGNORED] * fill])
        yield Batch(tokens, targets, array("i", range(length)), (1, length), stop - known)
        start, known = stop - block_size // 2, stop
