"""How an exported program writes texts: it copies these functions. They do what `microgpt generate` does."""

import argparse
import math
import sys
from collections.abc import Sequence
from random import Random

from microgpt_core.inference.sampling import choose, nucleus, sample_rng, shares

# The exporter writes these for each model.
Cache = list[tuple[list[list[float]], list[list[float]]]]
BLOCK_SIZE, VOCAB_SIZE, N_CACHES = 1, 1, 0
BOS: int | None = None


def model(token: int, position: int, cache: Cache) -> list[float]:
    raise NotImplementedError


def encode(text: str) -> list[int]:
    raise NotImplementedError


def decode(tokens: list[int]) -> str:
    raise NotImplementedError


def probabilities(
    logits: Sequence[float], temperature: float, top_k: int | None, top_p: float | None
) -> Sequence[float]:
    """softmax(logits / temperature), over the top_k likeliest tokens, then over the fewest that hold top_p."""
    top = max(logits)
    if temperature == 0.0:
        best = list(logits).index(top)
        return [1.0 if i == best else 0.0 for i in range(len(logits))]
    powers = [math.exp((z - top) / temperature) for z in logits]
    if top_k is None and top_p is None:
        return shares(powers, range(len(powers)))
    kept = sorted(range(len(powers)), key=lambda i: -powers[i])[:top_k]
    return shares(powers, kept if top_p is None else nucleus(kept, powers, top_p))


def generate(
    prompt: str, rng: Random, temperature: float, top_k: int | None, top_p: float | None, limit: int | None
) -> str:
    """A text that begins with the prompt. It ends where the model says so, or where the block or the limit is full."""
    context = (([] if BOS is None else [BOS]) + encode(prompt))[-BLOCK_SIZE:]
    cache: Cache = [([], []) for _ in range(N_CACHES)]
    logits: list[float] = []
    made: list[int] = []
    read = 0
    while limit is None or len(made) < limit:
        if len(context) > BLOCK_SIZE:  # go on from the last half; the model no longer sees what came before
            context, read, cache = context[-max(1, BLOCK_SIZE // 2) :], 0, [([], []) for _ in range(N_CACHES)]
        for position, token in enumerate(context[read:], read):
            logits = model(token, position, cache)
        read = len(context)
        blind = [1 / VOCAB_SIZE] * VOCAB_SIZE  # where nothing was read yet
        token = choose(probabilities(logits, temperature, top_k, top_p) if logits else blind, rng)
        if token == BOS:  # it stands between documents, so this one is over
            break
        context.append(token)
        made.append(token)
        if limit is None and read == BLOCK_SIZE:
            break
    return prompt + decode(made)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Let this model write.")
    parser.add_argument("prompts", nargs="*", default=[""], help="what texts begin with")
    parser.add_argument("-n", "--num-samples", type=int, default=10, help="texts for each prompt; default: 10")
    parser.add_argument("--max-new-tokens", type=int, help="default: until the text ends or the block is full")
    parser.add_argument("--temperature", type=float, default=0.8, help="below 1: bolder for the likely; default: 0.8")
    parser.add_argument("--top-k", type=int, help="choose among this many likeliest tokens")
    parser.add_argument("--top-p", type=float, help="choose among the likeliest with this probability together")
    parser.add_argument("--seed", type=int, help="the same seed gives the same texts")
    given = parser.parse_args()
    fine = given.temperature >= 0 and (given.top_k is None or given.top_k >= 1)
    if not fine or not (given.top_p is None or 0 < given.top_p <= 1):
        parser.error("temperature must be 0 or more, top-k 1 or more, top-p more than 0 and up to 1")
    try:
        for prompt in given.prompts:
            encode(prompt)
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    texts = [prompt for prompt in given.prompts for _ in range(given.num_samples)]
    for i, prompt in enumerate(texts):
        rng = sample_rng(given.seed, i)
        text = generate(prompt, rng, given.temperature, given.top_k, given.top_p, given.max_new_tokens)
        print(text, flush=True)
