"""`microgpt tokenizer`: what is printed, what is written, and what a mistake is told."""

import json
import sys

import pytest
from click.testing import CliRunner, Result

from microgpt_core.cli.main import main
from microgpt_tokenizers.commands import optimize, texts
from microgpt_tokenizers.commands.tokenizer import COMMANDS

TEXT = (
    "the cat saw the dog, and the dog saw the cat; whoever else was there kept quiet, looking on.\n" * 40
    + "Größe 世界 👋🏽\r\n"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8", newline="")
    return tmp_path


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["tokenizer", *words], input=stdin)


def done(*words: str, stdin: bytes | None = None) -> str:
    result = run(*words, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_group_lists_its_commands_without_importing_them():
    shown = done("--help")
    assert [name for name in COMMANDS if name not in shown] == []
    assert "microgpt tokenizer train my-texts/" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples(name):
    assert f"microgpt tokenizer {name}" in done(name, "--help")


def test_train_encode_decode(here):
    assert done("train", "a.txt", "--vocab-size", "300") == "tokenizer.json  300 tokens, 43 of them merges\n"
    ids = done("encode", "a.txt")
    assert max(map(int, ids.split())) < 300
    assert json.loads(done("encode", "a.txt", "--json")) == list(map(int, ids.split()))
    result = run("decode", stdin=ids.encode())
    assert result.stdout_bytes == (here / "a.txt").read_bytes()
    assert run("decode", stdin=json.dumps([*map(int, ids.split())]).encode()).stdout_bytes == result.stdout_bytes
    shown = json.loads(done("decode", "--json", stdin=ids.encode()))
    assert shown["text"].encode() == result.stdout_bytes
    assert len(shown["tokens"]) == len(ids.split())


def test_the_same_texts_give_the_same_file(here):
    (here / "b.txt").write_text("more of it, and the rest", encoding="utf-8")
    done("train", "a.txt", "b.txt", "-o", "one.json")
    done("train", "*.txt", "-o", "two.json")
    assert (here / "one.json").read_bytes() == (here / "two.json").read_bytes()


def test_train_in_every_format_and_with_every_option(here):
    told = json.loads(
        done("train", "a.txt", "--json", "--special", "<|pad|>", "--normalize", "NFC", "-o", "x.tiktoken")
    )
    assert told["path"] == "x.tiktoken"
    result = run("train", "a.txt", "--pattern", "cl100k", "--min-frequency", "60", "-o", "folder")
    assert "no pair came 60 times any more" in result.stderr
    assert sorted(file.name for file in (here / "folder").iterdir()) == ["merges.txt", "vocab.json"]


def test_special_tokens_are_obeyed_where_that_is_asked_for(here):
    done("train", "a.txt", "--vocab-size", "300", "--special", "<|pad|>")
    plain = done("encode", stdin=b"<|pad|>").split()
    assert done("encode", "--special", "<|pad|>", stdin=b"<|pad|>").split() == ["299"]
    assert "299" not in plain


def test_stats(here):
    done("train", "a.txt", "--vocab-size", "300")
    shown = done("stats", "a.txt", "--top", "3")
    assert "vocabulary            300, of which" in shown
    assert "characters per token" in shown
    assert "entropy" in shown
    told = json.loads(done("stats", "a.txt", "--tokenizer", "word", "--json", "--top", "1"))
    assert told["unknown_rate"] == 0
    assert told["frequent"] == [{"id": 3, "text": " the", "count": 120}]
    assert "unknown               0.000 %" in done("stats", "a.txt", "-t", "word")


def test_optimize(here):
    shown = done("optimize", "a.txt", "--sizes", "257,260,265,270", "--n-embd", "8")
    assert shown.splitlines()[0].split() == ["vocabulary", "tokens", "characters", "per", "token", "parameters"]
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["257", "260", "265", "270"]
    assert shown.count("the knee") == 1
    told = json.loads(done("optimize", "a.txt", "--sizes", "257,260,265,270", "--json"))
    assert told["knee"] in [size["vocab_size"] for size in told["sizes"]]


def test_optimize_draws(here, monkeypatch):
    drawn = []
    monkeypatch.setattr(optimize, "check_plot", lambda path: None)
    monkeypatch.setattr(optimize, "save_lines", lambda *given: drawn.append(given))
    done("optimize", "a.txt", "--sizes", "257,260,270", "--plot", "sizes.png")
    ((path, _, x_label, y_label, lines, mark),) = drawn
    assert (path.name, x_label, y_label, list(lines)) == ("sizes.png", "parameters", "characters per token", ["bpe"])
    assert mark is None or mark[0] in lines["bpe"][0]


def test_convert_there_and_back(here):
    done("train", "a.txt", "--vocab-size", "300")
    done("convert", "tokenizer.json", "folder")
    done("convert", "folder", "back.json")
    assert (here / "back.json").read_bytes() == (here / "tokenizer.json").read_bytes()
    assert done("convert", "tokenizer.json", "x.tiktoken") == "x.tiktoken  300 tokens\n"
    ids = done("encode", "a.txt", "-t", "x.tiktoken", "--pattern", "gpt2")
    assert ids == done("encode", "a.txt")


def test_a_model_s_tokenizer_is_found(here):
    for name in ("bpe", "char"):
        words = ["run", "names", "--set", f"tokenizer={name}", "--set", "train.max_steps=1", "--set", "stages=[train]"]
        small = ["--set", "model.n_embd=4", "--set", "model.n_head=1", "--set", "dataset.validation=0.01"]
        assert CliRunner().invoke(main, [*words, *small]).exit_code == 0
    assert done("decode", "-t", "latest", stdin=done("encode", "-t", "latest", stdin=b"emma").encode()) == "emma"
    assert done("encode", "-t", "names-2", stdin=b"az") == "1 26\n"
    assert len(done("encode", "-t", "runs/names-1", stdin=b"emma").split()) <= 4
    assert done("convert", "names-1", "of-run.json").endswith("1,024 tokens\n")
    result = run("convert", "names-2", "x.json")
    assert (result.exit_code, "is a char tokenizer; only those of bpe" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        ("train a.txt -o no/x.json", b"", "no/x.json: there is no folder no to write it into; make it first"),
        ("train none.txt", b"", "none.txt: is no file, no folder and no glob that matches a file"),
        ("train bad.txt", b"", "byte 0xFF isn't utf-8 text; name its encoding (--encoding latin-1"),
        ("stats a.txt -t char --encoding utf-16", b"", "set --encoding to utf-16-le or -be, or to what it is"),
        ("train a.txt --encoding utf-99", b"", "encoding: unknown encoding: utf-99; try utf-8"),
        ("stats a.txt -t wor", b"", "wor: no such run or model folder; runs in"),
        ("stats a.txt -t wor", b"", "none (did you mean 'word'?)"),
        ("train a.txt -o a.txt", b"", "a.txt: no format ends like this"),
        ("train a.txt -o there.json", b"", "there.json exists already; --force replaces it, --output writes"),
        ("convert there.json there.json", b"", "there.json exists already; --force replaces it, another OUTPUT"),
        ("train a.txt --vocab-size 100", b"", "vocab_size: found 100, allowed: 257 or more"),
        ("train a.txt --pattern gpt-2", b"", "unknown pattern 'gpt-2' (did you mean 'gpt2'?)"),
        ("encode", b"x", "tokenizer.json: there is no such file; expected"),
        ("encode -t none.json", b"x", "none.json: there is no such file"),
        ("encode -t latest", b"x", "there is no run in"),
        ("encode -t there.json", b"x", "there.json: expected a tokenizer.json, an object with a `model`"),
        (
            "encode -t a.txt",
            b"x",
            "a.txt: it isn't JSON (Expecting value: line 1 column 1 (char 0)); it is damaged, or no",
        ),
        (
            "stats a.txt -t cut.json",
            b"",
            "cut.json: it isn't JSON (Unterminated string starting at: line 1 column 2 (char 1)); it is damaged, or no",
        ),
        ("encode -t list.json", b"x", "list.json: found list, expected a JSON object"),
        (
            "encode -t half",
            b"x",
            "half: there is only merges.txt in it, which is no vocabulary by itself; expected a tok",
        ),
        ("stats a.txt -t char2", b"", "char2: no such run or model folder"),
        ("optimize a.txt --sizes 5", b"", "sizes: found [5], allowed: 257 or more"),
        ("optimize a.txt --sizes x", b"", "expected whole numbers with commas between them"),
        ("optimize empty.txt", b"", "no text, only white space"),
        ("nothing", b"", "there is no command tokenizer 'nothing'"),
        ("train2 a.txt", b"", "there is no command tokenizer 'train2' (did you mean 'train'?)"),
    ],
)
def test_a_mistake_is_told(here, words, stdin, said):
    (here / "bad.txt").write_bytes(b"\xff\xfe")
    (here / "empty.txt").write_bytes(b" ")
    (here / "there.json").write_bytes(b"{}")
    (here / "list.json").write_bytes(b"[]")
    (here / "cut.json").write_bytes(b'{"use')
    (here / "half").mkdir()
    (here / "half" / "merges.txt").write_bytes(b"")
    result = run(*words.split(), stdin=stdin)
    assert said in result.stderr.replace("\n", " ").replace("  ", " "), result.output
    assert result.exit_code == 2
    assert (here / "there.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        ("decode", b"1 2 x", "found 'x', expected ids: whole numbers"),
        ("decode", b"300", "id 300 is outside the vocabulary; allowed: 0 to 299"),
        ("encode", b"a\xff", "byte 0xFF at offset 1 isn't UTF-8 text, as it has to be here; convert it first"),
        ("encode --special <|x|>", b"a", "unknown special token '<|x|>'"),
    ],
)
def test_what_can_not_be_said_is_told(here, words, stdin, said):
    done("train", "a.txt", "--vocab-size", "300")
    result = run(*words.split(), stdin=stdin)
    assert (result.exit_code, said in result.stderr) == (2, True), result.output


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_a_file_is_read_in_pieces_whose_chunks_are_those_of_the_whole(here, size):
    from microgpt_tokenizers.bpe.splitting import PATTERNS, Splitter

    text = "\n\n a line\nanother.\nx  \n\n\ty\r\nz!\n7\n" * 5
    (here / "b.txt").write_text(text, encoding="utf-8", newline="")
    pieces = list(texts.pieces_of(here / "b.txt", size=size))
    whole = text.replace("\r\n", "\n")
    assert "".join(pieces) == whole
    assert len(pieces) > 1 or size > len(text)
    for pattern in PATTERNS:
        splitter = Splitter(pattern)
        assert [chunk for piece in pieces for chunk in splitter.chunks(piece)] == list(splitter.chunks(whole))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "UTF-8", "utf-8-sig"])
def test_a_text_in_another_encoding_is_the_same_text(here, encoding):
    text = "Größe, été, où\n" * 50
    (here / "b.txt").write_bytes(text.encode(encoding))
    (here / "u.txt").write_text(text, encoding="utf-8")
    done("train", "b.txt", "--vocab-size", "290", "--encoding", encoding)
    done("train", "u.txt", "--vocab-size", "290", "-o", "u.json")
    assert (here / "tokenizer.json").read_bytes() == (here / "u.json").read_bytes()
    assert done("stats", "b.txt", "--encoding", encoding) == done("stats", "u.txt")
    sizes = ("--sizes", "257,260,265")
    assert done("optimize", "b.txt", "--encoding", encoding, *sizes) == done("optimize", "u.txt", *sizes)


def test_nothing_is_drawn_unless_asked_for(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it would fail
    assert "257" in done("optimize", "a.txt", "--sizes", "257,260")


@pytest.mark.parametrize(
    ("file", "said"),
    [("x.png", "which isn't installed"), ("x", "allowed: .png"), ("no/x.png", "there is no folder no")],
)
def test_what_keeps_it_from_being_drawn_is_told_before_the_work(here, monkeypatch, file, said):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(optimize, "measure_sizes", lambda *given: pytest.fail("it has begun"))
    result = run("optimize", "a.txt", "--plot", file)
    assert (result.exit_code in (1, 2), said in result.stderr) == (True, True), result.output


def test_a_tokenizer_of_the_core_can_be_looked_at(here):
    assert "characters per token  1.000" in done("stats", "a.txt", "-t", "char", "--top", "0")
