"""`microgpt generate`: let a trained model write."""

import json
from pathlib import Path
from random import Random

import click

from microgpt_core.cli.options import json_option, plugin_option
from microgpt_core.inference.settings import GenerateSettings
from microgpt_core.pipeline import api

EXAMPLES = """\b
Examples:
  microgpt generate latest                    ten samples of the newest run
  microgpt generate names-1 -p em -n 3        three that begin with "em"
  microgpt generate runs/names-1 --temperature 0 --json
"""


@click.command("generate", epilog=EXAMPLES)
@click.argument("model")
@click.option("--prompt", "-p", "prompts", multiple=True, help="What samples begin with. May be repeated.")
@click.option("--num-samples", "-n", default=10, show_default=True, help="Samples for each prompt.")
@click.option("--max-new-tokens", type=int, help="Tokens to add at most; default: until the text ends.")
@click.option("--temperature", default=0.8, show_default=True, help="Below 1: bolder; 0: always the likeliest.")
@click.option("--top-k", type=int, help="Choose among this many likeliest tokens.")
@click.option("--top-p", type=float, help="Choose among the likeliest that have this probability together.")
@click.option("--seed", type=int, help="The same seed gives the same samples.")
@plugin_option
@json_option
def command(
    model: str,
    prompts: tuple[str, ...],
    num_samples: int,
    max_new_tokens: int | None,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Let MODEL write: a run's or a model's folder, the name of a run, or latest."""
    settings = GenerateSettings(
        list(prompts) or [""], max_new_tokens, temperature, top_k, top_p, num_samples, seed
    )  # checks them all
    language_model, rng, samples = api.load(model, plugins), Random(seed), []
    for prompt in settings.prompts:
        language_model.tokenizer.encode(prompt)  # what it can't say is said before anything is written
    for prompt in settings.prompts:
        for _ in range(settings.num_samples):
            stream = language_model.stream(
                prompt, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p, rng=rng
            )
            if as_json:
                tokens = [{"id": t.id, "probability": t.probability, "text": t.text} for t in stream]
                text = prompt + "".join(str(t["text"]) for t in tokens)
                samples.append({"prompt": prompt, "text": text, "tokens": tokens})
                continue
            click.echo(prompt, nl=False)
            for token in stream:
                click.echo(token.text, nl=False)  # at once, character by whole character
            click.echo()
    if as_json:
        click.echo(json.dumps(samples, indent=2, ensure_ascii=False))
