"""Generation: read the prompts, choose a token for each, read those, choose the next."""

from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from random import Random

from microgpt_core.components import Tokenizer
from microgpt_core.errors import NonFiniteError
from microgpt_core.inference.sampling import Sampling
from microgpt_core.inference.session import Session


@dataclass
class Token:
    """One generated token, and the text that it completed (perhaps none yet).

    `probability` is that of the choice: after temperature, top_k and top_p. `logprob` is the natural logarithm of
    the probability that the model itself gave the token, without them. Where generation ends inside a character,
    a last token with id -1 holds what stands for the rest of it.
    """

    id: int
    text: str
    probability: float
    logprob: float


class Text:
    """A text in the making: what the model is to see of it, and where its choices come from."""

    def __init__(self, prompt: list[int], rng: Random, block_size: int) -> None:
        self.rng, self.block_size, self.made = rng, block_size, 0
        self.context = prompt[-block_size:]
        self.unread = self.context[:]  # the end of the context that isn't in the cache yet
        self.decoder = getincrementaldecoder("utf-8")("replace")

    def keep_half(self) -> None:
        """Go on from the last half of a block: the model no longer sees what came before."""
        self.context = self.context[-max(1, self.block_size // 2) :]
        self.unread = self.context[:]

    def add(self, tokenizer: Tokenizer, token: int, probability: float, logprob: float) -> Token:
        """The next token. Where it is `bos`, it stands for no text."""
        if token < 0:
            raise NonFiniteError("the logits aren't finite numbers, so no token can be chosen: damaged weights?")
        self.unread, self.made = [token], self.made + 1
        self.context.append(token)
        text = "" if token == tokenizer.bos else self.decoder.decode(tokenizer.decode_bytes(token))
        return Token(token, text, probability, logprob)


def prompt_ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """The ids of a document that begins like this. Raises DataError for what the tokenizer can't say."""
    return ([] if tokenizer.bos is None else [tokenizer.bos]) + tokenizer.encode(prompt)


def generate(
    session: Session, tokenizer: Tokenizer, prompts: Sequence[list[int]], rngs: Sequence[Random], sampling: Sampling
) -> Iterator[tuple[int, Token]]:
    """Continue a document in each row of the session. Yields (row, token) as they are made.

    A text ends where the model says `bos`, by which it ends a document, or after `max_new_tokens`; its row is idle
    then until all have ended. Without `max_new_tokens` it also ends where its row is full. With it, a full row
    keeps the last half of a block and goes on from there.

    The text of a token never ends inside a character: its bytes wait for the rest.
    """
    limit = sampling.max_new_tokens
    session.reset()
    texts = {row: Text(ids, rng, session.model.block_size) for row, (ids, rng) in enumerate(zip(prompts, rngs))}
    while texts and limit != 0:
        for row, text in texts.items():
            if len(text.unread) > session.room(row):
                text.keep_half()
                session.reset(row)
        session.advance([texts[row].unread if row in texts else [] for row in range(session.rows)])
        chances = [int(texts[row].rng.random() * 2**31) if row in texts else 0 for row in range(session.rows)]
        choices = session.choose(chances, sampling)
        for row, text in list(texts.items()):
            n, u = tokenizer.vocab_size, chances[row] / 2**31  # where nothing was read, it is drawn blindly
            token = text.add(tokenizer, *choices[row] if text.unread else (int(u * n), 1 / n, -log(n)))
            if not (ended := token.id == tokenizer.bos):
                yield row, token
            if ended or (not session.room(row) if limit is None else text.made == limit):
                if rest := text.decoder.decode(b"", final=True):
                    yield row, Token(-1, rest, 1.0, 0.0)
                del texts[row]


def each_row(stream: Iterator[tuple[int, Token]], n_rows: int) -> Iterator[Iterator[Token]]:
    """The tokens of each row, row after row: as they are made, while those of later rows wait for their turn."""
    waiting = [deque[Token]() for _ in range(n_rows)]

    def tokens(row: int) -> Iterator[Token]:
        while True:
            while not waiting[row]:
                if (made := next(stream, None)) is None:
                    return
                waiting[made[0]].append(made[1])
            yield waiting[row].popleft()

    yield from map(tokens, range(n_rows))
    for row, token in stream:  # what nobody has asked for yet waits too: the session is wanted for others
        waiting[row].append(token)
