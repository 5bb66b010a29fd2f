"""A run: what the stages of a pipeline share, built when the first of them needs it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from microgpt_core.components import Dataset, Tokenizer
from microgpt_core.engine.backends import Kernels
from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.model import Model
from microgpt_core.pipeline.reading.settings import Pipeline
from microgpt_core.pipeline.runs.backends import find_kernels
from microgpt_core.pipeline.runs.corpus import Corpus, Texts
from microgpt_core.pipeline.runs.signals import Signals
from microgpt_core.plugins.registry import Registry
from microgpt_core.saving.checkpoint import TRAINER, newest_checkpoint
from microgpt_core.saving.model_folder import WEIGHTS, copy_tensors, read_config, read_json, read_tokenizer
from microgpt_core.saving.transfer import transfer
from microgpt_core.text.batch import Batch, BatchSource, Ids
from microgpt_core.text.batches import Batches, encode_documents, evaluation_batches
from microgpt_core.text.streamed import StreamedBatches
from microgpt_core.training.progress import Result, Step

ANALYSIS = "analysis.json"
MANY = 10**7  # weights that take long enough to draw to say so


class Reporter:
    """Whoever wants to know how a run goes on. This one doesn't; the command line's does."""

    def headline(self, text: str) -> None:
        """A line about the run as a whole."""

    def step(self, step: Step) -> None:
        """A training step is done."""

    def sample(self, text: str) -> None:
        """The model wrote this."""

    def done(self) -> None:
        """The stage is over."""


@dataclass
class Run:
    """One execution of a pipeline. After it, `model` is the trained one, `samples` what it wrote."""

    pipeline: Pipeline
    registry: Registry
    folder: Path
    reporter: Reporter = field(default_factory=Reporter)
    saved: Path | None = None  # a model folder of this same run: a checkpoint to go on from, or what it has trained
    signals: Signals = field(default_factory=Signals)
    results: dict[str, Any] = field(default_factory=dict)  # what each stage returned, by its name

    @property
    def result(self) -> Result | None:
        """How training ended."""
        return Result(**self.results["train"]) if "train" in self.results else None

    @property
    def evaluation(self) -> dict[str, float]:
        """The loss on the validation text, its perplexity, and what guessing would cost."""
        return dict(self.results.get("evaluate", {}))

    @property
    def samples(self) -> list[str]:
        """What the model wrote."""
        return list(self.results.get("generate", []))

    @property
    def analysis(self) -> dict[str, Any]:
        """What the analyzers found, by name."""
        path = self.folder / ANALYSIS
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @cached_property
    def rng(self) -> random.Random:
        """The run's one stream of random numbers: it shuffles the documents, draws the weights, then samples."""
        return random.Random(self.pipeline.seed)

    @cached_property
    def corpus(self) -> Corpus:
        """What there is to learn from."""
        dataset, transforms = self.pipeline.dataset, [each.build() for each in self.pipeline.transforms]
        return Corpus(dataset.build(), transforms, dataset.name)

    @property
    def dataset(self) -> Dataset:
        return self.corpus.dataset

    @property
    def documents(self) -> dict[str, list[str] | Texts]:
        """The texts of each split, "train" and "validation", from the transforms."""
        return self.corpus.documents

    @property
    def data_digest(self) -> str:
        """Of what there is to learn from, in its order."""
        return self.corpus.digest

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Trained on all documents, so that it can say whatever is in the validation text too; or one that is given.

        Numbers come with the one that made them, init_from with that of its model.
        """
        given, named = self.saved or self.dataset.tokenizer(), self.pipeline.tokenizer
        if given or named is None:
            return read_tokenizer(given or Path(str(self.pipeline.init_from)), self.registry.get)
        return named.build().train(self.corpus.everything)  # type: ignore[no-any-return]

    @cached_property
    def batching(self) -> str:
        """How batches are laid out. Raises ConfigurationError for numbers, which aren't cut into documents again."""
        chosen = self.pipeline.train.batching or ("documents" if self.dataset.separate else "random_window")
        if self.corpus.tokens and chosen != "random_window":
            what = f"dataset {self.pipeline.dataset.name!r} is one row of numbers"
            raise ConfigurationError(f"train.batching: found {chosen}, allowed: random_window, since {what}")
        return chosen

    @cached_property
    def batches(self) -> BatchSource:
        """The batches to train on. They draw the first epoch's order from the run's stream, before the weights."""
        settings, seed = self.pipeline.train, self.pipeline.seed
        if (buffer := self.dataset.buffer) and not self.corpus.tokens:
            if settings.epochs is not None:
                what = f"dataset {self.pipeline.dataset.name!r} is read as a stream"
                raise ConfigurationError(f"train.epochs: {what}, whose length isn't known; set train.max_steps instead")
            documents = self.documents["train"]
            return StreamedBatches(documents, self.tokenizer, buffer=buffer, seed=seed, **self._layout)
        ids = self.encoded("train")
        return Batches(ids, seed=seed, rng=self.rng, shuffle=settings.shuffle, bos=self._bos, **self._layout)

    @cached_property
    def validation(self) -> Sequence[Batch]:
        """The validation text, once through; empty where nothing was held out."""
        if not self.corpus.amounts["validation"]:
            return []
        return evaluation_batches(self.encoded("validation"), bos=self._bos, **self._layout)

    @property
    def _layout(self) -> dict[str, Any]:
        """What every batch of the run is made by."""
        batch_size = self.pipeline.train.batch_size
        return {"batching": self.batching, "batch_size": batch_size, "block_size": self._model.block_size}

    @property
    def _bos(self) -> int | None:
        """What stands between documents; between those of numbers it stands already."""
        return None if self.corpus.tokens else self.tokenizer.bos

    def encoded(self, split: str) -> Sequence[Ids]:
        """The ids of a split's documents. Raises DataError for a text that the tokenizer can't say."""
        if self.corpus.tokens:
            return [self.corpus.tokens[split]]
        try:
            return encode_documents(self.tokenizer, self.documents[split])
        except DataError as error:
            if self.pipeline.tokenizer is not None:
                raise
            hint = "`tokenizer: char`, say, learns the new text's, and tokens that both know keep their rows"
            raise DataError(f"{error}. The tokenizer is {self.pipeline.init_from}'s; {hint}") from error

    @cached_property
    def kernels(self) -> Kernels:
        return find_kernels(self.pipeline, self.registry)

    @cached_property
    def network(self) -> Model:
        """The model with its weights: drawn, those of `init_from`, or what this run made of them."""
        model, start = self._model, self.pipeline.init_from
        _ = self.batches  # first in the run's stream
        state = self.state()
        model.allocate(self.pipeline.stored)
        if state:
            self.rng.setstate(as_state(state["rng"]))
        else:
            if model.n_parameters > MANY:
                self.reporter.headline(f"drawing {model.n_parameters:,} weights")
            model.initialise(self.rng)
        if self.saved is not None:
            copy_tensors(self.saved, {WEIGHTS: model.state()})
        elif start is not None:
            known = transfer(model, self.tokenizer, Path(start), self.registry.get)
            lost = read_config(Path(start))["model"]["vocab_size"] - known
            left_out = f"; {lost} more of its own are left out" if lost else ""
            n_tokens = self.tokenizer.vocab_size
            self.reporter.headline(f"began with {start}, which knows {known} of {n_tokens} tokens{left_out}")
        return model

    def state(self) -> dict[str, Any]:
        """What `train` has the newest checkpoint of this run say of the run itself; empty without one."""
        newest = newest_checkpoint(self.folder) if self.saved is not None else None
        return read_json(newest / TRAINER) if newest else {}

    @cached_property
    def model(self) -> LanguageModel:
        """The model with its tokenizer, to be asked: `run.model.generate("em")`."""
        return LanguageModel(self.network, self.tokenizer, self.kernels)

    @cached_property
    def _model(self) -> Model:
        return self.pipeline.build_model(self.tokenizer.vocab_size)


def as_state(saved: Any) -> Any:
    """The state of a random stream, as JSON gives it back."""
    version, numbers, gauss_next = saved
    return version, tuple(numbers), gauss_next
