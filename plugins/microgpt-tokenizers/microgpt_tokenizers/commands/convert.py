"""`microgpt tokenizer convert`: a vocabulary in another format."""

from pathlib import Path

import click

from microgpt_core.cli.options import examples, plugin_option
from microgpt_core.errors import ConfigurationError
from microgpt_core.plugins.selection import Plugins
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.commands.source import find_tokenizer, pattern_option
from microgpt_tokenizers.commands.train import check_free
from microgpt_tokenizers.interchange.files import write_vocabulary

EXAMPLES = examples(
    "tokenizer convert latest tokenizer.json          of a run, for others' programs",
    "tokenizer convert cl100k_base.tiktoken cl100k.json",
    "tokenizer convert tokenizer.json gpt2-files/     a folder: vocab.json and merges.txt",
)


@click.command("convert", epilog=EXAMPLES)
@click.argument("source")
@click.argument("output", type=click.Path(path_type=Path))
@pattern_option
@click.option("--force", is_flag=True, help="Replace what is there already.")
@plugin_option
def command(source: str, output: Path, pattern: str | None, force: bool, plugins: Plugins) -> None:
    """Write the vocabulary of SOURCE in the format that OUTPUT's name stands for.

    .json: Hugging Face's tokenizer.json. .tiktoken: ranks, without special tokens. No suffix: a folder for vocab.json
    and merges.txt. What the format can't say (where texts are cut, in the last two) is lost; ids stay what they are.
    """
    check_free(output, force, "another OUTPUT writes somewhere else")
    tokenizer = find_tokenizer(source, pattern, plugins)
    if not isinstance(tokenizer, Bpe):
        raise ConfigurationError(f"{source} is a {tokenizer.name} tokenizer; only those of bpe have other formats")
    write_vocabulary(tokenizer.vocabulary, output)
    click.echo(f"{output}  {tokenizer.vocab_size:,} tokens")
