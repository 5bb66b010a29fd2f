"""`microgpt soup`: one model whose weights are the mean of several models'. Wortsman et al. 2022, arXiv:2203.05482.

    w = (w_1 + ... + w_n) / n

It costs nothing when it is used, and is often better than each: where the models are near one another, such as those
that were fine-tuned from the same one. A greedy soup takes the best model and then, one after the other, each that
doesn't make the mean worse.
"""

import json
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, TextIO

import click

from microgpt_core import ops
from microgpt_core.cli.evaluate import read_documents
from microgpt_core.cli.options import examples, json_option, plugin_option
from microgpt_core.components.buffer import flat
from microgpt_core.engine.context import no_grad, use_kernels
from microgpt_core.errors import ConfigurationError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.pipeline import builtin, trained
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.selection import Plugins

EXAMPLES = examples(
    "soup names-1 names-2 names-3 -o soup          the mean of all three",
    "soup names-* -o soup --greedy                 only of those that help",
    "soup a b -o soup --text novel.txt --json      chosen by the loss on a text of your own",
)
TRAINING_ONLY = ("dropout", "init_std", "init_output_std")  # what a trained model computes doesn't depend on them


@click.command("soup", epilog=EXAMPLES)
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL...")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="The model's folder.")
@click.option("--greedy", is_flag=True, help="Begin with the best, and leave out what makes the mean worse.")
@click.option("--text", type=click.File(encoding="utf-8-sig"), help="Measure on this, a document a line.")
@click.option("--force", is_flag=True, help="Replace what is there already.")
@plugin_option
@json_option
def command(
    models: tuple[str, ...], output: Path, greedy: bool, text: TextIO | None, force: bool, plugins: Plugins,
    as_json: bool,
) -> None:  # fmt: skip
    """Average the weights of several models of one shape, and say what that does to the loss.

    Each MODEL is what `microgpt evaluate` takes. The loss is that on the text which the run of the first held out, or
    on --text. A greedy soup is chosen by it, so that another text says how good it is.
    """
    if len(models) < 2:
        raise click.UsageError(f"expected two models or more, found {len(models)}: {models[0]}")
    if output.exists() and not force:
        raise ConfigurationError(f"{output} exists already; --force replaces it, --output writes somewhere else")
    registry = load(builtin, plugins)
    kernels = trained.kernels_for(registry, {})
    loaded = [trained.load_from(registry, model, kernels) for model in models]
    mixed = trained.load_from(registry, models[0], kernels)
    for name, model in zip(models[1:], loaded[1:]):
        check_same(loaded[0], models[0], model, name)
    documents = None if text is None else read_documents(text, "line", mixed.tokenizer)

    def loss(model: LanguageModel) -> float:
        if documents is not None:
            return model.evaluate(documents)["loss"]
        return trained.held_out_loss(model, models[0], registry)

    losses = [loss(model) for model in loaded]
    kept = choose(mixed, loaded, losses, loss) if greedy else list(range(len(loaded)))
    average(mixed, [loaded[i] for i in kept])
    trained.export(mixed, "safetensors", output, force=force, plugins=plugins)
    found = {
        "models": [{"model": name, "loss": x, "kept": i in kept} for i, (name, x) in enumerate(zip(models, losses))],
        "loss": loss(mixed), "path": str(output),
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    wide = max(map(len, (*models, str(output))))
    for i, (name, x) in enumerate(zip(models, losses)):
        click.echo(f"{name:<{wide}}  loss {x:.4f}{'' if i in kept else '  left out'}")
    click.echo(f"{str(output):<{wide}}  loss {found['loss']:.4f}  the mean of {len(kept)}")


def check_same(first: LanguageModel, first_name: str, other: LanguageModel, name: str) -> None:
    """Raise ConfigurationError where two models can't be averaged."""
    if first.tokenizer.to_dict() != other.tokenizer.to_dict():
        raise ConfigurationError(
            f"{name}: its tokenizer isn't that of {first_name}; a mean of their tokens means nothing"
        )
    expected, found = (function(model) for model in (first, other))
    for field in sorted(expected.keys() | found.keys()):
        if expected.get(field) != found.get(field):
            what = f"{field} is {found.get(field)}, in {first_name} {expected.get(field)}"
            raise ConfigurationError(f"{name}: {what}; only models of one shape mix")


def function(model: LanguageModel) -> dict[str, Any]:
    """What the same weights mean the same with: shapes alone don't say how many heads they are cut into."""
    fields = {"use": model.model.use, "precision": model.model.precision, **model.model.config()}
    return {name: value for name, value in fields.items() if name not in TRAINING_ONLY}


def average(into: LanguageModel, models: Sequence[LanguageModel]) -> None:
    """Write the mean of the models' weights into one that is none of them."""
    with use_kernels(into.kernels), no_grad():
        for target, *sources in zip(*(model.model.ordered_parameters() for model in (into, *models))):
            mean = ops.scale(reduce(ops.add, sources), factor=1 / len(sources))
            flat(target.data)[:] = flat(mean.data)


def choose(
    mixed: LanguageModel, models: Sequence[LanguageModel], losses: Sequence[float],
    loss: Callable[[LanguageModel], float],
) -> list[int]:  # fmt: skip
    """A greedy soup: which of the models are in it."""
    best, *others = sorted(range(len(models)), key=losses.__getitem__)
    kept, lowest = [best], losses[best]
    for i in others:
        average(mixed, [models[j] for j in (*kept, i)])
        if (found := loss(mixed)) <= lowest:
            kept, lowest = [*kept, i], found
    return sorted(kept)
