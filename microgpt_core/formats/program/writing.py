"""How an exported program writes texts: it copies these functions. They do what `microgpt generate` does."""

import argparse
import math
import sys
from collections.abc import Callable
from random import Random

from microgpt_core.inference.sampling import sample_rng
from microgpt_core.ops.sample import choose, probabilities

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
        share = int(rng.random() * 2**31) / 2**31  # the steps of `microgpt generate`
        token = choose(probabilities(logits, temperature, top_k, top_p) if logits else blind, share)
        if token == BOS:  # it stands between documents, so this one is over
            break
        context.append(token)
        made.append(token)
        if limit is None and read == BLOCK_SIZE:
            break
    return prompt + decode(made)


def checked(kind: Callable[[str], float], fits: Callable[[float], bool], allowed: str) -> Callable[[str], float]:
    """How to read a number of the command line: as this kind, and only if it fits."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan  # which fits nowhere
        if not fits(value):
            raise argparse.ArgumentTypeError(f"found {text!r}, allowed: {allowed}")
        return value

    return read


def main() -> None:
    """The command line."""
    count = checked(int, lambda n: n >= 1, "a whole number, 1 or more")
    seed = checked(int, lambda n: n >= 0, "a whole number, 0 or more")
    heat = checked(float, lambda x: 0 <= x < math.inf, "0 or more")
    share = checked(float, lambda x: 0 < x <= 1, "more than 0, up to 1")
    parser = argparse.ArgumentParser(
        description="Let this model write.",
        epilog="Example: python %(prog)s -p TEXT -n 3 --seed 7",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("prompts", nargs="*", metavar="TEXT", help="what texts begin with; default: nothing")
    add("-p", "--prompt", action="append", default=[], metavar="TEXT", help="the same; may be repeated")
    add("-n", "--num-samples", type=count, default=10, metavar="N", help="texts for each TEXT; default: 10")
    add("--max-new-tokens", type=count, metavar="N", help="default: until the text ends or the block is full")
    add("--temperature", type=heat, default=0.8, metavar="X", help="0: always the likeliest; default: 0.8")
    add("--top-k", type=count, metavar="N", help="choose among this many likeliest tokens")
    add("--top-p", type=share, metavar="X", help="choose among the likeliest with this probability together")
    add("--seed", type=seed, metavar="N", help="the same seed gives the same texts")
    given = parser.parse_args()
    prompts = given.prompts + given.prompt or [""]
    try:
        for prompt in prompts:
            encode(prompt)
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    for i in range(len(prompts) * given.num_samples):
        prompt, rng = prompts[i // given.num_samples], sample_rng(given.seed, i)
        text = generate(prompt, rng, given.temperature, given.top_k, given.top_p, given.max_new_tokens)
        print(text, flush=True)
