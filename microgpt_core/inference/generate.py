"""Generation: read a prompt, choose a token, read it, choose the next."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from microgpt_core.components import Tokenizer
from microgpt_core.inference.sampling import choose, probabilities
from microgpt_core.inference.session import Session


@dataclass
class Token:
    """One generated token, how likely it was, and the text that it completed (perhaps none yet)."""

    id: int
    probability: float
    text: str


def continue_tokens(
    session: Session,
    prompt: Sequence[int],
    rng: Random,
    *,
    max_new_tokens: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: int | None = None,
) -> Iterator[tuple[int, float]]:
    """The ids after `prompt` and their probabilities, until `stop` comes or `max_new_tokens` did.

    Without `max_new_tokens` it ends where the session is full. With it, a full session keeps the last half
    of what it read and goes on: the model then no longer sees what came before.
    """
    session.reset()
    context = list(prompt)[-session.model.block_size :]
    unread, made = context, 0
    while max_new_tokens is None or made < max_new_tokens:
        if session.room < len(unread):
            context = context[-(session.model.block_size // 2 or 1) :]
            session.reset()
            unread = context
        logits = session.read(unread)
        shares = probabilities(logits, temperature, top_k, top_p)
        token = choose(shares, rng)
        if token == stop:
            return
        yield token, shares[token]
        made += 1
        context, unread = [*context, token], [token]
        if max_new_tokens is None and not session.room:
            return


def generate(session: Session, tokenizer: Tokenizer, prompt: str, rng: Random, **settings: object) -> Iterator[Token]:
    """Continue a text token by token; `settings` are those of `continue_tokens`.

    A document begins with the tokenizer's `bos` and ends where the model says it again. The text of a token
    never ends inside a character: its bytes wait for the rest.
    """
    bos = tokenizer.bos
    ids = ([] if bos is None else [bos]) + tokenizer.encode(prompt)
    decoder = getincrementaldecoder("utf-8")("replace")
    if not ids:  # nothing to go on from: begin with a token drawn blindly
        ids = [rng.randrange(tokenizer.vocab_size)]
        yield Token(ids[0], 1 / tokenizer.vocab_size, decoder.decode(tokenizer.decode_bytes(ids[0])))
    for token, probability in continue_tokens(session, ids, rng, stop=bos, **settings):  # type: ignore[arg-type]
        yield Token(token, probability, decoder.decode(tokenizer.decode_bytes(token)))
    if rest := decoder.decode(b"", final=True):
        yield Token(-1, 1.0, rest)
