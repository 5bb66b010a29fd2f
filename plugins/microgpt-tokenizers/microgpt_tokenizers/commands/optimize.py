"""`microgpt tokenizer optimize`: how large a vocabulary should be."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from microgpt_core.cli.options import examples, json_option
from microgpt_core.cli.plot import check_plot, save_lines
from microgpt_core.cli.table import print_table
from microgpt_core.errors import DataError
from microgpt_core.text.files import TextFiles
from microgpt_tokenizers.commands.progress import Progress
from microgpt_tokenizers.commands.source import pattern_option
from microgpt_tokenizers.commands.texts import encoding_option
from microgpt_tokenizers.sizes import Size, knee, measure_sizes

EXAMPLES = examples(
    "tokenizer optimize my-texts/",
    "tokenizer optimize book.txt --sizes 512,1024,2048,4096,8192 --n-embd 384",
    "tokenizer optimize book.txt --plot sizes.png",
)
SIZES = "512,1024,2048,4096,8192"
HEADERS = ("vocabulary", "tokens", "characters per token", "parameters", "")


class Sizes(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4 on
    """Whole numbers with commas between them."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in value.split(",") if word.strip()]
        if not words or not all(word.isascii() and word.isdigit() for word in words):
            self.fail(f"{value!r}: expected whole numbers with commas between them, such as {SIZES}", param, ctx)
        return tuple(map(int, words))


@click.command("optimize", epilog=EXAMPLES)
@click.argument("paths", nargs=-1, required=True, metavar="FILES...")
@click.option("--sizes", type=Sizes(), default=SIZES, show_default=True, help="Vocabularies to try.")
@click.option("--n-embd", default=128, show_default=True, type=click.IntRange(1), help="The model's width.")
@pattern_option
@encoding_option
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw it: .png, .svg or .pdf."
)
@json_option
def command(
    paths: tuple[str, ...],
    sizes: tuple[int, ...],
    n_embd: int,
    pattern: str | None,
    encoding: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Compare sizes of bpe's vocabulary, learned from nine tenths of FILES and measured on the rest.

    Parameters are those of the embedding and the output layer, which grow with the vocabulary. The knee is where more
    of them begin to buy less: the size furthest above the line from the smallest to the largest.
    """
    if plot is not None:
        check_plot(plot)
    texts = TextFiles(list(paths), encoding=encoding, validation=0.1)
    progress = Progress()
    try:
        held_out = list(texts.documents("validation"))
        if not any(held_out):
            raise DataError("the texts are too short to hold a tenth of them out; give it more")
        found = measure_sizes(texts.documents("train"), held_out, sizes, n_embd, pattern, progress)
    finally:
        progress.end()
    if found[-1].vocab_size < max(sizes):
        click.echo(f"no pair came twice any more after {found[-1].vocab_size:,} tokens", err=True)
    best = knee(found)
    if plot is not None:
        draw(found, best, plot)
    if as_json:
        click.echo(json.dumps({"sizes": list(map(asdict, found)), "knee": best.vocab_size if best else None}, indent=2))
    else:
        print_table(HEADERS, [row(size, size is best) for size in found])


def row(size: Size, is_knee: bool) -> tuple[str, ...]:
    return (
        f"{size.vocab_size:,}", f"{size.n_tokens:,}", f"{size.characters_per_token:.3f}", f"{size.parameters:,}",
        "the knee" if is_knee else "",
    )  # fmt: skip


def draw(sizes: list[Size], best: Size | None, path: Path) -> None:
    line = ([float(size.parameters) for size in sizes], [size.characters_per_token for size in sizes])
    mark = None if best is None else (float(best.parameters), f"{best.vocab_size:,} tokens")
    save_lines(path, "What a larger vocabulary buys", "parameters", "characters per token", {"bpe": line}, mark)
