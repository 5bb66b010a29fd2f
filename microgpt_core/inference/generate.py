"""Generation: read a prompt, choose a token, read it, choose the next."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from microgpt_core.components import Tokenizer
from microgpt_core.inference.sampling import Sampling, choose
from microgpt_core.inference.session import Session


@dataclass
class Token:
    """One generated token, how likely it was, and the text that it completed (perhaps none yet).

    Where generation ends inside a character, a last one with id -1 holds what stands for the rest of it.
    """

    id: int
    probability: float
    text: str


def prompt_ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """The ids of a document that begins like this. Raises DataError for what the tokenizer can't say."""
    return ([] if tokenizer.bos is None else [tokenizer.bos]) + tokenizer.encode(prompt)


def continue_tokens(
    session: Session,
    prompt: Sequence[int],
    rng: Random,
    sampling: Sampling,
    *,
    max_new_tokens: int | None = None,
    stop: int | None = None,
) -> Iterator[tuple[int, float]]:
    """The ids after `prompt` and their probabilities, until `stop` comes or `max_new_tokens` did.

    Without `max_new_tokens` it ends where the session is full. With it, a full session keeps the last half
    of what it read and goes on: the model then no longer sees what came before.
    """
    size, made = session.model.block_size, 0
    session.reset()
    unread = context = list(prompt)[-size:]
    while max_new_tokens is None or made < max_new_tokens:
        if len(unread) > session.room:
            unread = context = context[-max(1, size // 2) :]
            session.reset()
        if context:
            probabilities = sampling.probabilities(session.read(unread))
        else:  # nothing to go on from: the first token is drawn blindly
            probabilities = [1.0 / session.model.vocab_size] * session.model.vocab_size
        token = choose(probabilities, rng)
        if token == stop:
            return
        yield token, probabilities[token]
        made += 1
        unread, context = [token], [*context, token]
        if max_new_tokens is None and not session.room:
            return


def generate(
    session: Session,
    tokenizer: Tokenizer,
    ids: Sequence[int],
    rng: Random,
    sampling: Sampling,
    max_new_tokens: int | None,
) -> Iterator[Token]:
    """Continue a document token by token, until the model says `bos`, by which it ends one.

    The text of a token never ends inside a character: its bytes wait for the rest.
    """
    decoder = getincrementaldecoder("utf-8")("replace")
    tokens = continue_tokens(session, ids, rng, sampling, max_new_tokens=max_new_tokens, stop=tokenizer.bos)
    for token, probability in tokens:
        yield Token(token, probability, decoder.decode(tokenizer.decode_bytes(token)))
    if rest := decoder.decode(b"", final=True):
        yield Token(-1, 1.0, rest)
