"""A run: what the stages of a pipeline share, built when the first of them needs it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from microgpt_core.components import Dataset, Tokenizer
from microgpt_core.engine.backends import Kernels
from microgpt_core.errors import DataError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.model import Model
from microgpt_core.pipeline.reading.settings import Pipeline
from microgpt_core.pipeline.runs.backends import find_kernels
from microgpt_core.pipeline.runs.signals import Signals
from microgpt_core.plugins.registry import Registry
from microgpt_core.saving.checkpoint import TRAINER, newest_checkpoint
from microgpt_core.saving.model_folder import WEIGHTS, copy_tensors, read_config, read_json, read_tokenizer
from microgpt_core.saving.transfer import transfer
from microgpt_core.text.batch import Batch
from microgpt_core.text.batches import Batches, encode_documents, evaluation_batches
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
    def dataset(self) -> Dataset:
        return self.pipeline.dataset.build()  # type: ignore[no-any-return]

    @cached_property
    def documents(self) -> dict[str, list[str]]:
        """The texts of each split, "train" and "validation"."""
        splits = {split: list(self.dataset.documents(split)) for split in ("train", "validation")}
        if not splits["train"]:
            raise DataError(f"dataset {self.pipeline.dataset.name!r} has no documents to train on")
        return splits

    @cached_property
    def data_digest(self) -> str:
        """Of the texts of both splits, in their order."""
        total = sha256()
        for documents in self.documents.values():
            total.update(f"{len(documents)} documents\n".encode())
            for text in documents:
                data = text.encode("utf-8", "surrogatepass")
                total.update(f"{len(data)} bytes\n".encode() + data)
        return total.hexdigest()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Trained on all documents, so that it can say whatever is in the validation text too; or that of init_from."""
        if self.saved is not None:
            return read_tokenizer(self.saved, self.registry.get)
        if self.pipeline.tokenizer is None:
            return read_tokenizer(Path(str(self.pipeline.init_from)), self.registry.get)
        every = [text for documents in self.documents.values() for text in documents]
        return self.pipeline.tokenizer.build().train(every)  # type: ignore[no-any-return]

    @cached_property
    def batching(self) -> str:
        return self.pipeline.train.batching or ("documents" if self.dataset.separate else "random_window")

    @cached_property
    def batches(self) -> Batches:
        """The batches to train on. They draw the first epoch's order from the run's stream, before the weights."""
        settings = self.pipeline.train
        return Batches(
            self.encoded("train"),
            batching=self.batching,
            batch_size=settings.batch_size,
            block_size=self._model.block_size,
            seed=self.pipeline.seed,
            rng=self.rng,
            shuffle=settings.shuffle,
            bos=self.tokenizer.bos,
        )

    @cached_property
    def validation(self) -> list[Batch]:
        """The validation text, once through; empty where nothing was held out."""
        if not self.documents["validation"]:
            return []
        documents = self.encoded("validation")
        batch_size, block_size = self.pipeline.train.batch_size, self._model.block_size
        return list(
            evaluation_batches(
                documents, batching=self.batching, batch_size=batch_size, block_size=block_size, bos=self.tokenizer.bos
            )
        )

    def encoded(self, split: str) -> list[list[int]]:
        """The ids of a split's documents. Raises DataError for a text that the tokenizer can't say."""
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
