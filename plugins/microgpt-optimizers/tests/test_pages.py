"""The pages about this pack do what they show, and what they say of memory is what an optimizer takes."""

import re
import runpy
from pathlib import Path

import pytest

from microgpt_core.components import Optimizer
from microgpt_core.models.gpt import GPT
from microgpt_core.training.optimizers import SGD, Adam, AdamW
from microgpt_core.training.update import Update
from microgpt_optimizers.adafactor import Adafactor
from microgpt_optimizers.adagrad import Adagrad
from microgpt_optimizers.average import Average
from microgpt_optimizers.lion import Lion
from microgpt_optimizers.muon import Muon
from microgpt_optimizers.rmsprop import RMSprop

PACK = Path(__file__).parents[1]
ROOT = PACK.parents[1]
PAGES = [PACK / "README.md", ROOT / "docs" / "how-to" / "optimizers.md"]
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(), "adam": Adam(), "adamw": AdamW(), "rmsprop": RMSprop(), "adagrad": Adagrad(), "lion": Lion(),
    "adafactor": Adafactor(), "muon": Muon(), "average": Average(SGD()),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the page draws a schedule")
    problems = runpy.run_path(str(ROOT / "tests" / "docs" / "test_documentation.py"))["problems"]
    found = list(problems(page, tmp_path))
    assert not found, "\n\n".join(found)


def numbers_kept(optimizer: Optimizer) -> float:
    """The numbers of state for each number of a model in which matrices are nearly all."""
    from microgpt_optimizers.plugin import UPDATES, microgpt_ops

    assert set(microgpt_ops()) == set(UPDATES)
    model = GPT(65, block_size=64, n_layer=8, n_head=4, n_embd=256)
    model.set_precision("float32")
    update = Update(model, optimizer, update_ops=dict.fromkeys(optimizer.updates))  # type: ignore[arg-type]
    return sum(t.value.size for t in update.state.values()) / model.n_parameters


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_memory_that_a_page_tells_of_is_what_is_kept(page: Path) -> None:
    told = dict(re.findall(r"^\| `([\w-]+)` \| (\d)(?:,[^|]*)? \|", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"rmsprop", "adagrad", "lion", "adafactor", "muon"} <= told.keys()
    for name, numbers in told.items():
        assert numbers_kept(OPTIMIZERS[name]) == pytest.approx(float(numbers), abs=0.05), name
