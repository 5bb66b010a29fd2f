"""The core's stages: train, evaluate, generate. Each is a function of the run."""

import json
from math import exp, log

from microgpt_core.components import Op
from microgpt_core.inference.sampling import sample_rng
from microgpt_core.pipeline.machine import in_units
from microgpt_core.pipeline.run import Run
from microgpt_core.pipeline.run_folder import write
from microgpt_core.pipeline.settings import Pipeline
from microgpt_core.plugins.registry import Registry
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.trainer import Trainer


def train(run: Run) -> None:
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
        update_op=update_op(run.pipeline, run.registry),
        folder=run.folder,
        on_step=run.reporter.step,
        saved={"rng": run.rng.getstate()},
        about={"run": run.pipeline.name, "made by": made_by(run.registry)},
        analyzers={analyzer.name: analyzer.build() for analyzer in run.pipeline.analyzers},
        origins={analyzer.name: origin(run.registry, analyzer.name) for analyzer in run.pipeline.analyzers},
    )
    describe(run, trainer)
    run.result = trainer.train()
    if run.pipeline.analyzers:
        run.analysis = trainer.observers.reports()
        write(run.folder / "analysis.json", json.dumps(run.analysis, indent=2, default=str) + "\n")


def origin(registry: Registry, analyzer: str) -> str:
    """The pack that an analyzer comes from, and what to do should it fail."""
    pack = registry.find("analyzers", analyzer)[0]
    return f"{pack.origin}; {pack.fix}"


def made_by(registry: Registry) -> str:
    """The distributions whose components may be in a model, with their versions."""
    return ", ".join(pack.origin for pack in registry.packs if pack.state == "ok")


def update_op(pipeline: Pipeline, registry: Registry) -> Op:
    """The op that the optimizer names: the core's, or one that a pack brought."""
    found = registry.get("ops", pipeline.optimizer.cls.update)
    return found if isinstance(found, Op) else found()


def describe(run: Run, trainer: Trainer) -> None:
    """What is about to be trained, on what, with which kernels; and what guessing would cost."""
    documents, vocab_size = run.documents, run.tokenizer.vocab_size
    held_out = f", {len(documents['validation']):,} held out" if documents["validation"] else ""
    (inputs,) = trainer.loss.window_inputs([run.batches.batch(0)])
    plan = trainer.loss.training.replay_for(*inputs).plan
    backends = list(dict.fromkeys(call.backend for call in plan.calls))
    flops = plan.flops * run.pipeline.train.accumulation
    n_trained = sum(p.value.size for p in run.network.parameters() if p.requires_grad)
    trained = f", {n_trained:,} of them trained" if n_trained < run.network.n_parameters else ""
    run.reporter.headline(
        f"{run.pipeline.name}: {len(documents['train']):,} documents{held_out}; {vocab_size} tokens; "
        f"{run.network.n_parameters:,} parameters{trained}, {in_units(flops, 'FLOP')} a step; {' + '.join(backends)}, "
        f"{run.network.precision}"
    )
    if fallbacks := plan.fallbacks():
        counts = ", ".join(f"{op} ({n})" for op, n in fallbacks.items())
        share = sum(call.flops for call in plan.calls if call.refusals) / plan.flops
        run.reporter.headline(
            f"not run by {run.kernels.backends[0].name}: {counts}, {share:.1%} of a step's FLOPs; "
            "see microgpt plan --explain"
        )
    run.reporter.headline(f"guessing would cost ln {vocab_size} = {log(vocab_size):.3f}")


def evaluate(run: Run) -> None:
    """The loss on the validation text (there is some: `api.check`), into `evaluation.json`."""
    loss = BatchLoss(run.network, kernels=run.kernels).evaluate(run.validation)
    run.evaluation = {"loss": loss, "perplexity": exp(loss), "guessing": log(run.tokenizer.vocab_size)}
    write(run.folder / "evaluation.json", json.dumps(run.evaluation, indent=2) + "\n")
    run.reporter.headline(f"validation loss {loss:.4f}, perplexity {exp(loss):.2f}")


def generate(run: Run) -> None:
    """What the model writes after each prompt, into `samples.txt`."""
    settings = run.pipeline.generate
    for prompt in settings.prompts:
        for _ in range(settings.num_samples):
            rng = run.rng if settings.seed is None else sample_rng(settings.seed, len(run.samples))
            text = run.model.generate(prompt, rng=rng, **settings.arguments())
            run.samples.append(text)
            run.reporter.sample(text)
    write(run.folder / "samples.txt", "".join(f"{text}\n" for text in run.samples))
