"""The preset `microgpt` is the one-page program of docs/learn, number for number.

The page computes with lists of floats and a tape of generators; the preset with buffers, plans and batched ops.
They share the order of the random numbers, and nothing else.
"""

import importlib.util
import random
from itertools import islice
from math import sqrt
from pathlib import Path
from types import ModuleType

import pytest

from microgpt_core.components import flat
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.text.batches import Batches, encode_documents
from microgpt_core.text.char import Char
from microgpt_core.training.budget import Budget
from microgpt_core.training.optimizers import Adam
from microgpt_core.training.schedules import Linear
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.trainer import Trainer

PAGE = Path(__file__).parents[2] / "docs" / "learn" / "microgpt.py"
FIRST_LOSS = 3.262669756552358
GRADIENT_NORMS = {"wte.weight": 1.03402635421, "lm_head.weight": 1.45485774493}
MAX_STEPS = 1000


@pytest.fixture
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("one_page_gpt", PAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Preset:
    """The preset, trained on a file of names as the page trains on it."""

    def __init__(self, path: Path, **fields: int) -> None:
        documents = path.read_text(encoding="utf-8").split()
        self.rng = random.Random(42)
        self.tokenizer = Char().train(documents)
        settings = TrainSettings(
            max_steps=MAX_STEPS, batch_size=1, shuffle="once", grad_clip=None, eval_interval=0, restore_best=False
        )
        self.model = GPT(vocab_size=self.tokenizer.vocab_size, **PRESETS["microgpt"].fields | fields)
        batches = Batches(
            encode_documents(self.tokenizer, documents), batch_size=1, block_size=8, seed=42, rng=self.rng,
            shuffle="once", bos=self.tokenizer.bos,
        )  # fmt: skip
        self.model.allocate("float64")
        self.model.initialise(self.rng)
        self.trainer = Trainer(self.model, self.tokenizer, batches, Adam(lr=1e-2), Linear(), settings)

    def losses(self, steps: int) -> list[float]:
        """The losses of the next steps of a run of 1,000."""
        budget = Budget(MAX_STEPS, None)
        return [self.trainer.one_step(budget).train_loss for _ in range(steps)]

    def samples(self, n: int) -> list[str]:
        model = LanguageModel(self.model, self.tokenizer)
        return [model.generate(rng=self.rng, temperature=0.5) for _ in range(n)]


def test_the_first_step(ssa_names: Path) -> None:
    preset = Preset(ssa_names)
    trainer = preset.trainer
    assert trainer.loss.train([trainer.batches.batch(0)]) == pytest.approx(FIRST_LOSS, abs=1e-14)
    for p in preset.model.parameters():
        if p.name in GRADIENT_NORMS:
            norm = sqrt(sum(g * g for g in flat(p.grad.data)))
            assert norm == pytest.approx(GRADIENT_NORMS[p.name], abs=5e-12), p.name


@pytest.mark.slow
@pytest.mark.parametrize("n_layer", [1, 2])
def test_two_hundred_steps_and_twenty_samples_are_the_pages(page: ModuleType, ssa_names: Path, n_layer: int) -> None:
    page.N_LAYER = n_layer
    documents, alphabet, model = page.start(ssa_names)
    expected = list(islice(page.train(model, alphabet, documents, MAX_STEPS), 200))
    preset = Preset(ssa_names, n_layer=n_layer)
    found = preset.losses(200)
    assert max(abs(a - b) for a, b in zip(found, expected)) <= 1e-9
    assert found[0] == pytest.approx(FIRST_LOSS, abs=1e-14)
    assert preset.samples(20) == [page.sample(model, alphabet) for _ in range(20)]


@pytest.mark.slow
def test_a_whole_run_is_the_pages(page: ModuleType, ssa_names: Path) -> None:
    documents, alphabet, model = page.start(ssa_names)
    expected = list(page.train(model, alphabet, documents, MAX_STEPS))
    preset = Preset(ssa_names)
    found = preset.losses(MAX_STEPS)
    assert max(abs(a - b) for a, b in zip(found, expected)) <= 1e-5
    assert preset.samples(20) == [page.sample(model, alphabet) for _ in range(20)]


@pytest.mark.slow
def test_the_comparison_sees_another_epsilon(page: ModuleType, ssa_names: Path) -> None:
    """The positive control: a part in a hundred million of a mistake in the page's norm."""
    rmsnorm = page.rmsnorm.__closure__[0].cell_contents
    code = rmsnorm.__code__
    constants = tuple(1.00001e-5 if c == 1e-5 else c for c in code.co_consts)
    assert constants != code.co_consts
    rmsnorm.__code__ = code.replace(co_consts=constants)
    documents, alphabet, model = page.start(ssa_names)
    expected = list(islice(page.train(model, alphabet, documents, MAX_STEPS), 20))
    assert max(abs(a - b) for a, b in zip(Preset(ssa_names).losses(20), expected)) > 1e-9
