"""`microgpt evaluate`: measure a trained model on text that it hasn't seen."""

import json
from math import log
from typing import TextIO

import click

from microgpt_core.cli.options import json_option, plugin_option
from microgpt_core.components import Tokenizer
from microgpt_core.errors import DataError
from microgpt_core.inference.evaluation import with_perplexity
from microgpt_core.pipeline import trained
from microgpt_core.plugins.selection import Plugins

EXAMPLES = """\b
Examples:
  microgpt evaluate latest                    on the text that its run held out
  microgpt evaluate names-1 --text names.txt  on a file, a document a line
  microgpt evaluate latest --text - --document file --json < novel.txt
"""


@click.command("evaluate", epilog=EXAMPLES)
@click.argument("model")
@click.option("--text", type=click.File(encoding="utf-8-sig"), help="A text file, or - for the standard input.")
@click.option(
    "--document", type=click.Choice(("line", "file")), default="line", help="Of --text: a line each (default), or all."
)
@plugin_option
@json_option
def command(model: str, text: TextIO | None, document: str, plugins: Plugins, as_json: bool) -> None:
    """Measure MODEL: a run's or a model's folder, the name of a run, or latest.

    Without --text: on what its run held out, batched as in training. With it, nothing is left out but lines with
    nothing in them: a document longer than the block is read in windows that overlap by half.

    Bits per character and per byte are the loss of all tokens, also of those that end documents, over the characters
    and UTF-8 bytes of the documents, to which line ends don't belong unless a document is a file.
    """
    if text is None:
        language_model, loss = trained.held_out(model, plugins)
        values = with_perplexity(loss)
    else:
        language_model = trained.load(model, plugins)
        values = language_model.evaluate(read_documents(text, document, language_model.tokenizer))
    vocab_size = language_model.tokenizer.vocab_size
    values["guessing"] = log(vocab_size)
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    units = {"loss": "nats per token", "document_loss": "nats per token", "guessing": f"= ln {vocab_size}"}
    for name, value in values.items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        click.echo(f"{name.replace('_', ' '):<19}  {shown} {units.get(name, '')}".rstrip())


def read_documents(file: TextIO, document: str, tokenizer: Tokenizer) -> list[str]:
    """A text's documents. Raises DataError where it has none, and for what the tokenizer can't say, with its line."""
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise DataError(f"{file.name}: this isn't UTF-8 text: {error}") from None
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        try:
            tokenizer.encode(line.strip() and line)
        except DataError as error:
            raise DataError(f"{file.name}, line {number}: {error}") from None
    documents = [piece for piece in (lines if document == "line" else [text]) if piece.strip()]
    if not documents:
        raise DataError(f"{file.name}: there is no text in it")
    return documents
