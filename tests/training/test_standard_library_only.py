"""Ops, engine, models, training and inference need nothing but Python: a run from start to samples proves it."""

import subprocess
import sys
from pathlib import Path

import pytest

import microgpt_core

ROOT = Path(microgpt_core.__file__).parents[1]

# Runs isolated (-I: no environment, no user folder) and without site-packages (-S). The finder refuses what could
# be found all the same, and notes whatever was asked for.
GUARD = """
import sys

sys.path.append({root!r})


class OnlyPython:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {{"microgpt_core"}}:
            raise ModuleNotFoundError(f"third-party module {{name}} is blocked")


sys.meta_path.insert(0, OnlyPython())
"""

RUN = """
import random
from pathlib import Path

from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.text.batches import Batches, encode_documents, evaluation_batches
from microgpt_core.text.char import Char
from microgpt_core.text.names import Names
from microgpt_core.training.optimizers import Adam
from microgpt_core.training.schedules import Linear
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.trainer import Trainer

folder = Path({folder!r})
names, rng = Names(), random.Random(42)
documents, held_out = list(names.documents("train")), list(names.documents("validation"))[:20]
tokenizer = Char().train(documents)
model = GPT(vocab_size=tokenizer.vocab_size, **PRESETS["microgpt"].fields)
settings = TrainSettings(max_steps=30, batch_size=1, grad_clip=None, eval_interval=15, shuffle="once")
ids, held_out = encode_documents(tokenizer, documents), encode_documents(tokenizer, held_out)
batches = Batches(ids, batch_size=1, block_size=8, seed=42, rng=rng, shuffle="once", bos=tokenizer.bos)
validation = list(evaluation_batches(held_out, batch_size=4, block_size=8, bos=tokenizer.bos))
model.allocate("float64")
model.initialise(rng)
result = Trainer(
    model, tokenizer, batches, Adam(lr=1e-2), Linear(), settings, validation=validation, folder=folder
).train()
print(result.steps, result.val_loss < 3.29)
again = LanguageModel.load(folder / "model")
print(len([again.generate("ma", rng=rng, temperature=0.5) for _ in range(3)]))
print({{name.partition(".")[0] for name in sys.modules}} - sys.stdlib_module_names - {{"__main__", "microgpt_core"}})
"""


def blocked(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", GUARD.format(root=str(ROOT)) + program],
        capture_output=True, text=True, encoding="utf-8", timeout=120,
    )  # fmt: skip


def test_microgpt_runs_from_start_to_samples_on_python_alone(tmp_path: Path) -> None:
    done = blocked(RUN.format(folder=str(tmp_path / "run")))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["30 True", "3", "set()"]
    assert (tmp_path / "run" / "checkpoints" / "step-000030" / "optimizer.safetensors").is_file()


@pytest.mark.parametrize("module", ["yaml", "click", "numpy", "pydantic.fields"])
def test_the_guard_does_block(module: str) -> None:
    """The planted control: with site-packages in reach, a third-party module is refused all the same."""
    reach = f"sys.path += {sys.path!r}\n"
    done = blocked(f"{reach}import {module}")
    assert done.returncode == 1
    assert f"ModuleNotFoundError: third-party module {module.partition('.')[0]} is blocked" in done.stderr


def test_the_pipeline_would_not_pass() -> None:
    """What stands above the engine does need more."""
    done = blocked("import microgpt_core.pipeline.api")
    assert done.returncode == 1
    assert "is blocked" in done.stderr
