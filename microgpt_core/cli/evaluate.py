"""`microgpt evaluate`: measure a trained model on text that it hasn't seen."""

import json
from math import exp, log
from pathlib import Path

import click

from microgpt_core.cli.options import json_option, plugin_option
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline import api

EXAMPLES = """\b
Examples:
  microgpt evaluate latest                    on the text that its run held out
  microgpt evaluate names-1 --text names.txt  on a file, a document a line
"""


@click.command("evaluate", epilog=EXAMPLES)
@click.argument("model")
@click.option("--text", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file: a document a line.")
@plugin_option
@json_option
def command(model: str, text: Path | None, plugins: tuple[Path, ...], as_json: bool) -> None:
    """Measure MODEL: a run's or a model's folder, the name of a run, or latest."""
    language_model = api.load(model, plugins)
    if text is None:
        loss = api.held_out_loss(model, language_model, plugins)
    else:
        documents = [line for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not documents:
            raise ConfigurationError(f"{text}: no text in it; a document a line is expected")
        loss = language_model.loss(documents)
    vocab_size = language_model.tokenizer.vocab_size
    values = {"loss": loss, "perplexity": exp(loss), "guessing": log(vocab_size)}
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    click.echo(f"loss        {loss:.4f} nats per token")
    click.echo(f"perplexity  {exp(loss):.3f}")
    click.echo(f"guessing    {log(vocab_size):.4f} = ln {vocab_size}")
