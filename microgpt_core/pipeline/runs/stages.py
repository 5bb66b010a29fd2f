"""The core's stages: train, evaluate, generate, export. Each is a function of the run."""

import json
from math import inf, log
from typing import Any

from microgpt_core.inference.evaluation import with_perplexity
from microgpt_core.inference.sampling import sample_rng
from microgpt_core.pipeline.reading.settings import Component
from microgpt_core.pipeline.runs.backends import update_ops
from microgpt_core.pipeline.runs.formats import write_all
from microgpt_core.pipeline.runs.machine import in_units
from microgpt_core.pipeline.runs.peak import peak_flops
from microgpt_core.pipeline.runs.run import ANALYSIS, Run
from microgpt_core.pipeline.runs.run_folder import write
from microgpt_core.pipeline.stage import stage
from microgpt_core.plugins.registry import Registry
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.trainer import Trainer


@stage(reads=("analyzers", "callbacks"), writes=("model",))
def train(run: Run) -> dict[str, Any]:
    """Train the model and leave it in the run's folder."""
    model, settings = run.network, run.pipeline.train
    trainer = Trainer(
        model,
        run.tokenizer,
        run.batches,
        run.pipeline.optimizer.build(),
        run.pipeline.schedule.build(),
        settings,
        validation=run.validation,
        kernels=run.kernels,
        update_ops=update_ops(run.pipeline, run.registry),
        folder=run.folder,
        on_step=run.reporter.step,
        saved={"rng": run.rng.getstate(), "data": run.data_digest},
        about={"run": run.pipeline.name, "made by": made_by(run.registry)},
        analyzers={analyzer.name: analyzer.build() for analyzer in run.pipeline.analyzers},
        interrupted=lambda: bool(run.signals.received),
        callbacks={callback.name: callback.build() for callback in run.pipeline.callbacks},
        origins={x.name: origin(run.registry, x) for x in (*run.pipeline.analyzers, *run.pipeline.callbacks)},
        peak=peak_flops(run.pipeline.precision),
    )
    describe(run, trainer)
    if run.saved is not None:
        trainer.restore(run.saved)
        run.reporter.headline(f"goes on from {run.saved}")
    with run.signals.held():
        result = trainer.train()
        if run.pipeline.analyzers:
            reports = trainer.observers.reports()
            write(run.folder / ANALYSIS, json.dumps(reports, indent=2, default=str) + "\n")
    return vars(result)


def origin(registry: Registry, component: Component) -> str:
    """The pack that an analyzer or a callback comes from, and what to do should it fail."""
    pack = registry.find(component.section, component.name)[0]
    return f"{pack.origin}; {pack.fix}"


def made_by(registry: Registry) -> str:
    """The packs whose components may be in a model, with their versions."""
    return ", ".join(pack.label for pack in registry.used)


def describe(run: Run, trainer: Trainer) -> None:
    """What is about to be trained, on what, with which kernels; and what guessing would cost."""
    corpus, vocab_size = run.corpus, run.tokenizer.vocab_size
    held_out = f", {corpus.amounts['validation']:,} held out" if corpus.amounts["validation"] else ""
    (inputs,) = trainer.loss.window_inputs([run.batches.batch(0)])
    plan = trainer.loss.training.replay_for(*inputs).plan
    backends = list(dict.fromkeys(call.backend for call in plan.calls))
    flops, precision = plan.flops * run.pipeline.train.accumulation, run.pipeline.precision
    passes = ", ".join(each.name for each in run.kernels.passes if each.name != precision)
    n_trained = sum(p.value.size for p in run.network.parameters() if p.requires_grad)
    trained = f", {n_trained:,} of them trained" if n_trained < run.network.n_parameters else ""
    run.reporter.headline(
        f"{run.pipeline.name}: {corpus.amount('train')}{held_out}; {vocab_size} tokens; "
        f"{run.network.n_parameters:,} parameters{trained}, {in_units(flops, 'FLOP')} a step; {' + '.join(backends)}, "
        f"{precision}{f'; passes: {passes}' if passes else ''}"
    )
    for line in corpus.tally():
        run.reporter.headline(line)
    if run.tokenizer.summary:
        run.reporter.headline(f"tokenizer: {run.tokenizer.summary}")
    if corpus.tokens and (named := run.pipeline.tokenizer):
        own = f"the numbers of {run.pipeline.dataset.name} mean what its own tokenizer, {run.tokenizer.name}, says"
        run.reporter.headline(f"tokenizer: {named.name} isn't used: {own}")
    if fallbacks := plan.fallbacks():
        counts = ", ".join(f"{op} ({n})" for op, n in fallbacks.items())
        share = sum(call.flops for call in plan.calls if call.refusals) / plan.flops
        run.reporter.headline(
            f"not run by {run.kernels.backends[0].name}: {counts}, {share:.1%} of a step's FLOPs; "
            "see microgpt plan --explain"
        )
    run.reporter.headline(f"guessing would cost ln {vocab_size} = {log(vocab_size):.3f}")


@stage(after=("train",), writes=("evaluation.json",))
def evaluate(run: Run) -> dict[str, float]:
    """The loss on the validation text (there is some: `api.check`), into `evaluation.json`."""
    loss = BatchLoss(run.network, kernels=run.kernels).evaluate(run.validation)
    found = with_perplexity(loss) | {"guessing": log(run.tokenizer.vocab_size)}
    write(run.folder / "evaluation.json", json.dumps(found, indent=2) + "\n")
    run.reporter.headline(f"validation loss {loss:.4f}, perplexity {found.get('perplexity', inf):.2f}")
    return found


@stage(after=("train",), reads=("generate",), writes=("samples.txt",))
def generate(run: Run) -> list[str]:
    """What the model writes after each prompt, into `samples.txt`."""
    settings, samples = run.pipeline.generate, list[str]()
    for prompt in settings.prompts:
        for _ in range(settings.num_samples):
            rng = run.rng if settings.seed is None else sample_rng(settings.seed, len(samples))
            text = run.model.generate(prompt, rng=rng, **settings.arguments())
            samples.append(text)
            run.reporter.sample(text)
    write(run.folder / "samples.txt", "".join(f"{text}\n" for text in samples))
    return samples


@stage(after=("train",), reads=("export",), writes=("export",))
def export(run: Run) -> list[str]:
    """The trained model in each format that `export:` names, in the run's folder."""
    folder = run.folder / "export"
    names = write_all(run.registry, run.pipeline.export.names, run.network, run.tokenizer, folder)
    for name in names:
        run.reporter.headline(f"exported to {folder / name}")
    return names
