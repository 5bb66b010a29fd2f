"""`microgpt tokenizer train`: learn a vocabulary from text files."""

import json
from pathlib import Path

import click

from microgpt_core.cli.options import examples, json_option
from microgpt_core.errors import ConfigurationError
from microgpt_core.text.normal import FORMS, Form
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.commands.progress import Progress
from microgpt_tokenizers.commands.source import pattern_option
from microgpt_tokenizers.commands.texts import encoding_option, pieces
from microgpt_tokenizers.interchange.files import check_name, write_vocabulary

EXAMPLES = examples(
    "tokenizer train my-texts/ --vocab-size 4096",
    "tokenizer train 'data/**/*.py' --pattern cl100k --special '<|pad|>' --output code.json",
    "tokenizer train book.txt --output book.tiktoken",
)
END = "<|endoftext|>"


@click.command("train", epilog=EXAMPLES)
@click.argument("paths", nargs=-1, required=True, metavar="FILES...")
@click.option("--vocab-size", default=1024, show_default=True, help="Tokens in all: bytes, merges, special tokens.")
@pattern_option
@encoding_option
@click.option("--min-frequency", default=2, show_default=True, help="How often a pair has to come to be merged.")
@click.option("--normalize", type=click.Choice(FORMS), help="A Unicode form to bring texts to first.")
@click.option("--special", multiple=True, metavar="NAME", help=f"A special token beside {END}. May be repeated.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default="tokenizer.json", show_default=True,
    help="A .json file, a .tiktoken file, or a folder for vocab.json and merges.txt.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what is there already.")
@json_option
def command(
    paths: tuple[str, ...], vocab_size: int, pattern: str | None, encoding: str, min_frequency: int,
    normalize: Form | None, special: tuple[str, ...], output: Path, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Learn byte-pair encoding from FILES: text files, folders of .txt files, globs.

    The same texts give the same merges, on every machine and whatever order the files have. The file can be opened by
    others' programs, and named in a pipeline: tokenizer: {use: bpe, file: tokenizer.json}.
    """
    check_free(output, force, "--output writes somewhere else")
    tokenizer = Bpe(
        vocab_size=vocab_size, pattern=pattern, min_frequency=min_frequency, special=list(special), normalize=normalize
    )
    progress = Progress()
    try:
        tokenizer.train(pieces(paths, encoding), progress=progress)
    finally:
        progress.end()
    write_vocabulary(tokenizer.vocabulary, output)
    if tokenizer.vocab_size < vocab_size:
        click.echo(f"only {tokenizer.vocab_size:,} tokens: no pair came {min_frequency} times any more", err=True)
    about = {"path": str(output), "vocab_size": tokenizer.vocab_size, "merges": len(tokenizer.vocabulary.merges or [])}
    shown = f"{output}  {about['vocab_size']:,} tokens, {about['merges']:,} of them merges"
    click.echo(json.dumps(about, indent=2) if as_json else shown)


def check_free(output: Path, force: bool, other: str) -> None:
    """Raise ConfigurationError where something would be lost, there is no folder, or no format has this name."""
    check_name(output)
    if output.exists() and not force:
        raise ConfigurationError(f"{output} exists already; --force replaces it, {other}")
    if output.suffix and not output.parent.is_dir():
        raise ConfigurationError(f"{output}: there is no folder {output.parent} to write it into; make it first")
