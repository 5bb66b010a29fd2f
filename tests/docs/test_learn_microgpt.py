"""The one-page GPT of docs/learn stays one page, imports only mathematics and chance, and computes the right numbers.

That it follows the engine's `microgpt` preset step by step is tested with the preset.
"""

import ast
import importlib.util
import math
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "learn" / "microgpt.py"
SOURCE = PAGE.read_text(encoding="utf-8")
MAX_LINES = 230
LOSSES = {
    0: 3.262669756552358,
    1: 3.300263772564401,
    59: 3.324682001371752,
}  # step -> loss, of 1,000 steps on ssa-names


@pytest.fixture
def page() -> ModuleType:
    """A fresh copy of the page, imported as a module, so that nothing is trained."""
    spec = importlib.util.spec_from_file_location("learn_microgpt", PAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("emma\nolivia\n\n ava \nmaximiliana\n", encoding="utf-8", newline="\n")
    return path


def imported(source: str) -> set[str]:
    """Every module that the source imports, in whatever way."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or ".")
        elif isinstance(node, ast.Name) and node.id == "__import__":
            found.add("__import__")
    return found


def document_loss(page: ModuleType, model: dict, alphabet: list[str], doc: str):
    tokens = [page.BOS, *(1 + alphabet.index(character) for character in doc), page.BOS]
    return page.cross_entropy(page.gpt(model, tokens[:-1][: page.BLOCK_SIZE]), tokens[1:][: page.BLOCK_SIZE])


def lively(page: ModuleType, path: Path) -> tuple[list[str], dict]:
    """An alphabet and a small model away from the start, where zeros and tiny numbers would hide most mistakes."""
    page.N_LAYER, page.N_EMBD, page.N_HEAD = 2, 8, 2
    _, alphabet, model = page.start(path)
    for rows in model.values():
        for row in rows:
            row.data = [page.random.gauss(0, 0.5) for _ in row.data]
    return alphabet, model


def peeks(page: ModuleType, path: Path) -> bool:
    """Whether the logits of the first tokens depend on the last one."""
    _, model = lively(page, path)
    one, other = ([z.data for z in page.gpt(model, [0, 1, 2, last])] for last in (3, 4))
    return one[:-1] != other[:-1]


def worst_slope_error(page: ModuleType, path: Path) -> float:
    """The largest difference between the tape's slope and a central difference, over some weights of every matrix."""
    alphabet, model = lively(page, path)
    page.backward(document_loss(page, model, alphabet, "maximiliana"))
    worst, eps = 0.0, 1e-6
    for rows in model.values():
        for row in rows[:3]:
            for i in range(0, len(row.data), 5):
                losses, middle = [], row.data[i]
                for row.data[i] in (middle + eps, middle - eps):
                    losses.append(document_loss(page, model, alphabet, "maximiliana").data[0])
                row.data[i] = middle
                page.tape.clear()
                worst = max(worst, abs(row.grad[i] - (losses[0] - losses[1]) / (2 * eps)))
    return worst


def test_imports_only_math_and_random() -> None:
    assert imported(SOURCE) == {"math", "random"}


@pytest.mark.parametrize("line", ["import sys", "from os import path", "from . import ops", "__import__('os')"])
def test_an_import_would_be_seen(line: str) -> None:
    assert imported(f"import math, random\ndef f():\n    {line}\n") != {"math", "random"}


def test_is_one_page() -> None:
    lines = SOURCE.splitlines()
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= 120


def test_first_loss_and_gradients_on_ssa_names(page: ModuleType, ssa_names: Path) -> None:
    docs, alphabet, model = page.start(ssa_names)
    loss = document_loss(page, model, alphabet, docs[0])
    page.backward(loss)
    norms = {k: math.sqrt(sum(g * g for row in model[k] for g in row.grad)) for k in ("wte", "lm_head")}
    assert (len(docs), len(alphabet)) == (32033, 26)
    assert loss.data[0] == pytest.approx(LOSSES[0], abs=1e-12)
    assert norms == pytest.approx({"wte": 1.03402635421, "lm_head": 1.45485774493}, abs=1e-10)


def test_training_on_ssa_names_takes_the_known_path(page: ModuleType, ssa_names: Path) -> None:
    docs, alphabet, model = page.start(ssa_names)
    losses = list(islice(page.train(model, alphabet, docs, 1000), 60))
    assert {step: losses[step] for step in LOSSES} == pytest.approx(LOSSES, abs=1e-9)
    name = page.sample(model, alphabet)
    assert len(name) <= page.BLOCK_SIZE
    assert set(name) <= set(alphabet)


def test_slopes_are_those_of_finite_differences(page: ModuleType, names: Path) -> None:
    assert worst_slope_error(page, names) < 1e-6


def test_a_wrong_slope_would_be_seen(page: ModuleType, names: Path) -> None:
    @page.operation
    def add(a, b):  # forgets its second input
        y = page.Vector([p + q for p, q in zip(a.data, b.data, strict=True)])
        yield y
        a.add_grad(1.0, y.grad)

    page.add = add
    assert worst_slope_error(page, names) > 1e-3


def test_no_token_sees_a_later_one(page: ModuleType, names: Path) -> None:
    assert not peeks(page, names)


def test_peeking_would_be_seen(page: ModuleType, names: Path) -> None:
    source = SOURCE.replace("keys[: t + 1], values[: t + 1]", "keys, values")
    assert source != SOURCE
    exec(compile(source, PAGE, "exec"), page.__dict__)
    assert peeks(page, names)


def test_the_same_seed_gives_the_same_run(page: ModuleType, names: Path) -> None:
    runs = []
    for _ in range(2):
        docs, alphabet, model = page.start(names)
        assert sorted(docs) == ["ava", "emma", "maximiliana", "olivia"]
        runs.append((list(page.train(model, alphabet, docs, 5)), page.sample(model, alphabet)))
    assert runs[0] == runs[1]


def test_names_are_read_from_the_package(page: ModuleType) -> None:
    assert Path(page.DOCUMENTS) == PAGE.parents[2] / "microgpt_core" / "text" / "names.txt"
    assert Path(page.DOCUMENTS).is_file()
