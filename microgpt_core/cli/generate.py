"""`microgpt generate`: let a trained model write."""

import json
from collections.abc import Iterable
from typing import Any

import click

from microgpt_core.cli.interactive import Interactive, typed_lines, write_text
from microgpt_core.cli.options import json_option, plugin_option
from microgpt_core.errors import DoesNotFitError
from microgpt_core.inference.generate import Token
from microgpt_core.pipeline import trained
from microgpt_core.pipeline.reading.generate_settings import GenerateSettings
from microgpt_core.pipeline.reading.sizes import MOST_SAMPLES
from microgpt_core.plugins.selection import Plugins

EXAMPLES = """\b
Examples:
  microgpt generate latest                    ten samples of the newest run
  microgpt generate names-1 -p em -n 3        three that begin with "em"
  microgpt generate runs/names-1 --temperature 0 --json
  microgpt generate latest -n 64 --batch 16 --seed 1
  microgpt generate latest --precision bfloat16
  microgpt generate latest --interactive      a prompt a line; /help says more
"""


@click.command("generate", epilog=EXAMPLES)
@click.argument("model")
@click.option("--prompt", "-p", "prompts", multiple=True, help="What samples begin with. May be repeated.")
@click.option("--num-samples", "-n", default=10, show_default=True, help="Samples for each prompt.")
@click.option(
    "--max-new-tokens", type=int,
    help="Tokens to add at most, also past the model's block: where that is full, its last half is kept and read "
    "again. Default: until the text ends or the block is full.",
)  # fmt: skip
@click.option(
    "--temperature", default=0.8, show_default=True, help="Below 1: the likely gets likelier; 0: always the likeliest."
)
@click.option("--top-k", type=int, help="Choose among this many likeliest tokens.")
@click.option("--top-p", type=float, help="Choose among the likeliest that have this probability together.")
@click.option("--seed", type=int, help="The same seed gives the same samples, each from numbers of its own.")
@click.option("--batch", default=1, show_default=True, help="Samples written at once: more don't change any of them.")
@click.option("--backend", default="auto", show_default=True, help="Who computes: simd, numpy, reference.")
@click.option(
    "--precision", type=click.Choice(("float32", "bfloat16")), default="float32", show_default=True,
    help="Of matrix products. In bfloat16 a token takes about half the time, where reading weights is what takes it.",
)  # fmt: skip
@click.option("--interactive", "-i", is_flag=True, help="Continue each line that is typed, or piped in.")
@plugin_option
@json_option
def command(
    model: str,
    prompts: tuple[str, ...],
    batch: int,
    backend: str,
    precision: str,
    interactive: bool,
    plugins: Plugins,
    as_json: bool,
    **choices: Any,
) -> None:
    """Let MODEL write: a run's or a model's folder, the name of a run, or latest.

    With --json, each token has its id, its text, the probability with which it was chosen, and as logprob the
    natural logarithm of what the model itself gave it, before temperature and cuts.
    """
    settings = GenerateSettings(list(prompts) or [""], **choices)  # checks them all
    if (n_texts := len(settings.prompts) * settings.num_samples) > MOST_SAMPLES:
        raise DoesNotFitError(f"--num-samples makes {n_texts:,} texts; allowed: up to {MOST_SAMPLES:,} at a time")
    if interactive and (prompts or as_json):
        raise click.UsageError("--interactive reads its prompts line by line and prints plain text")
    language_model = trained.load(model, plugins, backend=backend, precision=precision)
    if interactive:
        Interactive(language_model, settings).answer(typed_lines())
        return
    texts = [prompt for prompt in settings.prompts for _ in range(settings.num_samples)]
    streams = language_model.stream_many(texts, seed=settings.seed, batch_size=batch, **settings.arguments())
    if as_json:
        click.echo(json.dumps([sample(*both) for both in zip(texts, streams)], indent=2))
        return
    for prompt, stream in zip(texts, streams):
        write_text(prompt, stream)


def sample(prompt: str, stream: Iterable[Token]) -> dict[str, Any]:
    tokens = [vars(token) for token in stream]
    return {"prompt": prompt, "text": prompt + "".join(token["text"] for token in tokens), "tokens": tokens}
