"""The likeliest mistakes in a pipeline: each is said at its place, with what is allowed and the nearest name."""

from pathlib import Path

import pytest

from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(builtin)


def problems(text: str, registry: Registry, folder: Path) -> list[tuple[int, int, str]]:
    file = folder / "t.yaml"
    file.write_text(text, encoding="utf-8", newline="\n")
    with pytest.raises(PipelineError) as caught:
        read_pipeline(file, registry)
    return [(p.place.line, p.place.column, p.message) for p in caught.value.problems]


MISTAKES = [
    # misspelt or misplaced keys
    ("modle: gpt", 1, 1, "modle: unknown key (did you mean 'model'?); known: microgpt, name, seed"),
    ("seed: 1\nTrain: {max_steps: 5}", 2, 1, "unknown key (did you mean 'train'?)"),
    ("model:\n  n_layr: 2", 2, 3, "model.n_layr: unknown key (did you mean 'n_layer'?); known: use, preset, block"),
    ("train: {max_step: 5}", 1, 9, "(did you mean 'max_steps'?)"),
    ("optimizer: {use: sgd, weight_decay: 0.1}", 1, 23, "of 'sgd', which has use, lr, momentum, nesterov; adamw would"),
    ("learning_rate: 1e-3", 1, 1, "unknown key; here it is optimizer.lr"),
    ("colour: red", 1, 1, "unknown key; known:"),
    ("n_layer: 2", 1, 1, "unknown key; it goes under `model:`"),
    ("model: {max_steps: 10}", 1, 9, "unknown key; it goes under `train:`"),
    ("train: {seed: 3}", 1, 9, "unknown key; it goes at the top level"),
    ("train: {use: fast}", 1, 9, "unknown key"),
    ("model: {vocab_size: 5}", 1, 9, "the run fills this in; leave it out"),
    ("model: {n_layer:5}", 1, 9, "unknown key (did you mean 'n_layer'?)"),
    # unknown names
    ("tokenizer: cahr", 1, 12, "unknown tokenizer 'cahr' (did you mean 'char'?); known: char"),
    ("tokenizer: {use: cahr}", 1, 18, "(did you mean 'char'?)"),
    ("dataset: {use: nmaes}", 1, 16, "(did you mean 'names'?)"),
    ("optimizer: adam2", 1, 12, "(did you mean 'adam'?)"),
    ("model: {preset: micrgpt}", 1, 17, "unknown preset 'micrgpt' (did you mean 'microgpt'?)"),
    ("model: {activation: relu3}", 1, 21, "unknown activation 'relu3' (did you mean 'relu"),
    ("model: {norm: cross_entropy}", 1, 15, "'cross_entropy' doesn't fit the slot 'norm'"),
    # a model's parts
    ("model: {norm: layer_norm}", 1, 15, "unknown norm 'layer_norm' (did you mean 'layernorm'?)"),
    ("model: {activation: geluu}", 1, 21, "unknown activation 'geluu' (did you mean 'gelu'?)"),
    ("model: {activation: rope}", 1, 21, "'rope' doesn't fit the slot 'activation': it is rope(x, positions"),
    ("model: {norm: swiglu}", 1, 15, "'swiglu' doesn't fit the slot 'norm': it is swiglu(x, gate)"),
    ("model: {attention: atention}", 1, 20, "unknown attention 'atention' (did you mean 'attention'?)"),
    ("model: {position: rotary}", 1, 19, "expected one of learned, rope, sinusoidal, none, found 'rotary'"),
    ("model: {position: learnt}", 1, 19, "found 'learnt' (did you mean 'learned'?)"),
    ("model: {position: rope, n_head: 16}", 1, 19, "found rope with heads of 1 numbers"),
    ("model: {n_kv_head: 3}", 1, 20, "found 3, allowed: a divisor of n_head: [1, 2, 4]"),
    ("model: {norm_bias: true}", 1, 20, "model.norm_bias: found true, allowed: false, since rmsnorm takes no bias"),
    ("model: {norm: gelu}", 1, 15, "'gelu' doesn't fit the slot 'norm': it is gelu(x), the slot takes norm(x, weight"),
    ("model: {activation: GELU}", 1, 21, "unknown activation 'GELU' (did you mean 'gelu'?)"),
    ("freeze: [block.0.atention]", 1, 10, "(did you mean 'block.0.attention'?); known: wte, wpe, lm_head, block.0"),
    ("model: {window: 0}", 1, 17, "found 0, allowed: a whole number, 1 or more, or null"),
    ("model: {dropout: 1.0}", 1, 18, "found 1.0, allowed: 0 to 1, without 1"),
    ("train: {recompute: -1}", 1, 20, "found -1, allowed: 1 or more blocks, or 0 for none"),
    ("init_from: nowhere", 1, 12, "nowhere: no such run or model folder"),
    ("freeze: [wte, wtf]", 1, 15, "unknown part of the model 'wtf' (did you mean 'wte'?)"),
    ("stages: [train, evalute]", 1, 17, "stages[1]: unknown stage 'evalute' (did you mean 'evaluate'?)"),
    ("backend: refrence", 1, 10, "(did you mean 'reference'?)"),
    ("backend: [reference, simd]", 1, 22, "backend[1]: unknown backend 'simd'; known: reference"),
    ("kernels: {atention: reference}", 1, 11, "(did you mean 'attention'?)"),
    ("kernels: {attention: numpy}", 1, 22, "unknown backend 'numpy'"),
    ("precision: float16", 1, 12, "expected one of float32, float64, bfloat16, found 'float16' (did you mean"),
    ("train: {batching: packd}", 1, 19, "(did you mean 'packed'?)"),
    ("tokenizer: char@1", 1, 12, "tokenizer 'char@1': microgpt-core 0.1.0 is installed; write 'char@0'"),
    # wrong types
    ("seed: abc", 1, 7, "seed: expected an integer, found 'abc'"),
    ("seed: 1.0", 1, 7, "expected an integer, found 1.0"),
    ("seed: yes", 1, 7, "expected an integer, found 'yes'"),
    ("seed:", 1, 6, "expected an integer, found nothing"),
    ("name: 5", 1, 7, "expected text, found 5"),
    ("microgpt: 2", 1, 11, "expected 1, found 2"),
    ("backend: 3", 1, 10, "expected text or a list, found 3"),
    ("backend: [3]", 1, 11, "backend[0]: expected text, found 3"),
    ("kernels: reference", 1, 10, "expected a mapping, found 'reference'"),
    ("stages: train", 1, 9, "expected a list, found 'train'"),
    ("model: 3", 1, 8, "expected a component's name, or a mapping, found 3"),
    ("model: {use: [gpt]}", 1, 14, "expected a component's name, found a list of 1"),
    ("train: 1000", 1, 8, "expected a mapping, found 1000"),
    ("model: {n_layer: '2'}", 1, 18, "expected an integer, found '2'"),
    ("train: {restore_best: no}", 1, 23, "expected true or false, found 'no'"),
    ("optimizer: {betas: 0.9}", 1, 20, "expected a list, found 0.9"),
    ("optimizer: {betas: [0.9, x]}", 1, 26, "optimizer.betas[1]: expected a number, found 'x'"),
    ("optimizer: {betas: [0.9]}", 1, 20, "expected a longer list, found a list of 1"),
    ("optimizer: {betas: [0.9, 0.9, 0.9]}", 1, 20, "expected a list of 2, found a list of 3"),
    ("generate: {prompts: hello}", 1, 21, "expected a list, found 'hello'"),
    ("optimizer: {lr: .inf}", 1, 17, "expected a finite number, found inf"),
    ("- a\n- b", 1, 1, "expected a pipeline's keys"),
    ("just words", 1, 1, "expected a pipeline's keys"),
    # values that no component takes
    ("seed: -1", 1, 7, "found -1, allowed: 0 or more"),
    ("name: a/b", 1, 7, "can't be a folder's name"),
    ("name: ''", 1, 7, "can't be a folder's name"),
    ("train: {max_steps: 0}", 1, 20, "train.max_steps: found 0, allowed: 1 or more"),
    ("train: {minutes: -1}", 1, 18, "allowed: more than 0, or null"),
    ("train: {label_smoothing: 1}", 1, 26, "allowed: 0 to 1, without 1"),
    ("generate: {temperature: -0.5}", 1, 25, "allowed: 0 or more"),
    ("generate: {prompts: []}", 1, 21, "at least one text"),
    ("generate: {top_p: 1.5}", 1, 19, "more than 0, up to 1, or null"),
    ("model:\n  n_embd: 17\n  n_head: 4", 2, 11, "n_head = 4"),
    ("model: {n_layer: 0}", 1, 18, "found 0"),
    ("dataset: {use: names, validation: 0.9}", 1, 35, "dataset.validation:"),
    ("dataset: text", 1, 1, "'text' needs 'path'"),
    # plugins
    ("plugins: [./mish.py]", 1, 11, "name it on the command line: --plugin ./mish.py"),
    ("plugins: [microgpt]", 1, 11, "expected a pack's distribution"),
    ("plugins: ['microgpt-simd>=0.1']", 1, 11, "install it with: microgpt plugins install "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "said"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_said_at_its_place(
    text: str, line: int, column: int, said: str, registry: Registry, tmp_path: Path
) -> None:
    (found,) = problems(text, registry, tmp_path)
    assert found[:2] == (line, column)
    assert said in found[2]


def test_all_mistakes_of_a_file_come_together_in_order(registry: Registry, tmp_path: Path) -> None:
    text = (
        "seeed: 1\nmodel: {n_layer: x, n_head: 0, n_embed: 3}\ntokenizer: cahr\ntrain: {max_steps: 0, batch_size: 0}\n"
    )
    found = problems(text, registry, tmp_path)
    assert [(line, column) for line, column, _ in found] == [
        (1, 1),
        (2, 18),
        (2, 29),
        (2, 32),
        (3, 12),
        (4, 20),
        (4, 35),
    ]


def test_the_whole_message(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("seed: x\ntokenizer: cahr\n", encoding="utf-8")
    with pytest.raises(PipelineError) as caught:
        read_pipeline(file, registry)
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        f"{file}:1:7: seed: expected an integer, found 'x'\n"
        "    1 | seed: x\n"
        "      |       ^\n\n"
        f"{file}:2:12: tokenizer.use: unknown tokenizer 'cahr' (did you mean 'char'?); known: char\n"
        "    2 | tokenizer: cahr\n"
        "      |            ^\n\n"
        "2 problems; nothing was run"
    )


def test_a_file_that_is_no_text_says_where(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_bytes("name: café\n".encode("latin-1"))
    with pytest.raises(PipelineError, match=r"t\.yaml:1:10: byte 0xE9 isn't UTF-8"):
        read_pipeline(file, registry)
