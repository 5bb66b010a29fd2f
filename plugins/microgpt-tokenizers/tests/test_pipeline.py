"""The tokenizers in whole pipelines: of texts in other scripts, and of vocabularies beside the pipeline's file."""

import json

import pytest
from click.testing import CliRunner, Result

import microgpt_core as mg
from microgpt_core.cli.main import main
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.interchange.files import write_vocabulary
from microgpt_tokenizers.statistics import measure
from microgpt_tokenizers.word import Word

LINES = {
    "Chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "Arabic": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق، وقد وهبوا عقلا وضميرا.",
    "Russian": "Все люди рождаются свободными и равными в своём достоинстве и правах.",
}
SMALL = {"model.n_embd": 8, "model.n_head": 2, "model.block_size": 16, "train.max_steps": 2, "generate.num_samples": 2}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("tokenizer", ["bpe", "bytes", "word"])
@pytest.mark.parametrize("language", LINES)
def test_texts_in_other_scripts_are_trained_on_and_come_back(here, language, tokenizer):
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text(f"{LINES[language]}\n" * 20, encoding="utf-8")
    trained = mg.run(
        "names",
        {"dataset": {"use": "text", "path": "texts"}, "tokenizer": tokenizer, "stages": ["train", "generate"], **SMALL},
    )
    used = trained.model.tokenizer
    assert used.name == tokenizer
    prompt = LINES[language][:10]
    shown = trained.model.generate(prompt, max_new_tokens=30, seed=1)
    assert shown.startswith(prompt)
    shown.encode()  # whole characters, or U+FFFD for what an untrained model makes of them
    again = mg.load(trained.folder).tokenizer
    assert again.encode(LINES[language]) == used.encode(LINES[language])


@pytest.mark.parametrize(("max_vocab", "known"), [(6, False), (None, True)])
def test_a_run_says_how_much_of_the_text_is_unknown(here, max_vocab, known):
    text = "the cat sat on the mat\nthe dog sat\n"
    (here / "a.txt").write_text(text, encoding="utf-8")
    tokenizer = Word(max_vocab=max_vocab).train([text])
    rate = measure(tokenizer, [text]).unknown_rate
    assert (rate == 0) is known
    words = {"use": "word", "max_vocab": max_vocab}
    changes = ["dataset={use: text, path: a.txt, validation: 0}", f"tokenizer={json.dumps(words)}"]
    changes += [f"{name}={value}" for name, value in SMALL.items()] + ["stages=[train]"]
    said = run("run", "names", *(word for change in changes for word in ("--set", change))).stderr
    n = len(tokenizer.encode(text))
    assert f"\ntokenizer: {rate:.2%} of {n} tokens are unknown words\n" in said


def test_without_unknown_words_nothing_is_said_of_them():
    assert Word(unknown=False).train(["a b"]).summary == ""


def test_a_vocabulary_lies_beside_the_pipeline_that_names_it(here):
    (here / "sub").mkdir()
    write_vocabulary(Bpe(vocab_size=300).train(LINES.values()).vocabulary, here / "sub" / "own.json")
    pipeline = {
        "name": "beside", "dataset": {"use": "names", "validation": 0.01},
        "tokenizer": {"use": "bpe", "file": "own.json"},
        "model": {"n_embd": 4, "n_head": 1, "block_size": 8}, "train": {"max_steps": 1}, "stages": ["train"],
    }  # fmt: skip
    (here / "sub" / "my.yaml").write_text(json.dumps(pipeline), encoding="utf-8")
    assert run("run", "sub/my.yaml").exit_code == 0
    resolved = (here / "runs" / "beside-1" / "resolved.yaml").read_text(encoding="utf-8")
    assert f"file: {here / 'sub' / 'own.json'}" in resolved
    assert run("run", "runs/beside-1/resolved.yaml").exit_code == 0  # from another folder the same


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["tokenizer.file=none.json"], "none.json: there is no such file or folder; expected a .json file"),
        (["tokenizer.vocab_size=10"], "vocab_size: found 10, allowed: 257 or more"),
        (["tokenizer.pattern=gpt-2"], "unknown pattern 'gpt-2' (did you mean 'gpt2'?)"),
        (["tokenizer.normalize=nfc"], "normalize"),
        (["tokenizer.vocabsize=10"], "did you mean 'vocab_size'"),
    ],
)
def test_a_mistake_in_a_pipeline_is_told(here, changes, said):
    words = [word for change in ["tokenizer.use=bpe", *changes] for word in ("--set", change)]
    result = run("check", "names", *words)
    assert result.exit_code == 2
    assert said in result.stderr
