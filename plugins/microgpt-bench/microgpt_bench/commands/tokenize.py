"""`microgpt bench tokenize`: which tokenizers, what they do, with which vocabularies, by how many threads."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from microgpt_bench.commands.measured import AUTO, measure, show
from microgpt_bench.commands.options import FILE, Names, effort_options
from microgpt_bench.results.result import Report
from microgpt_bench.work import tokenize as tokenizing
from microgpt_bench.work.tokenize import RANKS, TASKS, TRAIN
from microgpt_core.errors import ConfigurationError

EXAMPLES = """\b
Examples:
  microgpt bench tokenize
  microgpt bench tokenize --tokenizer char --text book.txt --what encode,decode
  microgpt bench tokenize --tokenizer bpe --text book.txt --vocab-size 32768 --against tokenizers,tiktoken
  microgpt bench tokenize --tokenizer bpe --what encode --text book.txt --ranks ranks/ --threads 1,2 --against tiktoken
"""


@click.command("tokenize", epilog=EXAMPLES)
@click.option("--tokenizer", "tokenizers", type=Names(), default=AUTO, help="Without it: all that are installed.")
@click.option("--what", type=Names(), default=",".join(TASKS), show_default=True, help="What it does.")
@click.option("--text", multiple=True, type=FILE, metavar="FILE", help="Of this text; may be repeated. Else: names.")
@click.option("--vocab-size", type=click.IntRange(1), help="What is learned. Without it: each tokenizer's own.")
@click.option(
    "--ranks",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Encode and decode with this .tiktoken file, or all of a folder, instead of what was learned.",
)
@click.option("--threads", type=Names(), default="1", show_default=True, help="Of each candidate: 1,2 races both.")
@click.option("--against", type=Names(), default="", help="tokenizers, tiktoken, or other peers that tokenize.")
@effort_options(8, 3)  # fmt: skip
def command(
    tokenizers: tuple[str, ...], what: tuple[str, ...], text: tuple[Path, ...], vocab_size: int | None,
    ranks: Path | None, threads: tuple[str, ...], **given: Any,
) -> None:  # fmt: skip
    """Time tokenizers: learning a vocabulary, text to numbers, numbers to text.

    With --against, everybody makes the same of the text first, with the same vocabulary; or learns one that is as good.
    """
    names = tokenizing.tokenizers() if tokenizers == (AUTO,) else tokenizers
    texts = [str(file.absolute()) for file in text]
    counts = list(map(thread_count, threads))
    with TemporaryDirectory(prefix="microgpt-bench-") as folder:
        vocabularies = ready(names, what, ranks) if ranks else learned(names, what, texts, vocab_size, Path(folder))
        models = [f"{name} {TRAIN}" for name in names if TRAIN in what] + list(vocabularies)
        more = {"texts": texts, "vocab_size": vocab_size, "vocabularies": vocabularies}
        reports = [
            measure(
                "tokenize", model=tuple(models), backend=("microgpt",), precision=("float32",), threads=n, more=more,
                **given,
            )
            for n in counts
        ]  # fmt: skip
    show("tokenize", joined(reports), **given)


def thread_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"--threads: found {text!r}, allowed: whole numbers from 1 on, such as 1,2")
    return int(text)


def using(what: Sequence[str]) -> list[str]:
    """What is done with a vocabulary that is there."""
    return [task for task in what if task != TRAIN]


def ready(names: Sequence[str], what: Sequence[str], ranks: Path) -> dict[str, str]:
    """Each ready vocabulary by what is measured with it: "bpe encode r50k_base"."""
    files = sorted(ranks.glob(f"*{RANKS}")) if ranks.is_dir() else [ranks]
    if not files or files[0].suffix != RANKS:
        raise ConfigurationError(f"--ranks {ranks}: found no *{RANKS} file there; name one, or a folder that has some")
    able = [name for name in names if tokenizing.reads_ranks(name)]
    if not able:
        raise ConfigurationError(
            f"--ranks: none of {', '.join(names)} reads ranks; bpe does: install microgpt-tokenizers"
        )
    return {
        f"{name} {task} {file.stem}": str(file.absolute()) for name, task, file in product(able, using(what), files)
    }


def learned(
    names: Sequence[str], what: Sequence[str], texts: Sequence[str], vocab_size: int | None, folder: Path
) -> dict[str, str]:
    """What each tokenizer learns now, once, so that nobody who is measured with it has to."""
    return dict(learn(names, using(what), texts, vocab_size, folder))


def learn(
    names: Sequence[str], uses: Sequence[str], texts: Sequence[str], vocab_size: int | None, folder: Path
) -> Iterator[tuple[str, str]]:
    for name in names if uses else ():
        click.echo(f"{name}: learning what it is measured with", err=True)
        file = folder / f"{name.replace('/', '-')}.json"
        tokenizing.keep(name, texts, vocab_size, file)
        yield from ((f"{name} {task}", str(file)) for task in uses)


def joined(reports: Sequence[Report]) -> Report:
    """Reports of the same machine as one."""
    whole, *others = reports
    for report in others:
        whole.results.extend(report.results)
        whole.ratios.extend(report.ratios)
        whole.skipped.update(report.skipped)
        whole.agreement.update(report.agreement)
        whole.remarks.extend(remark for remark in report.remarks if remark not in whole.remarks)
    return whole
