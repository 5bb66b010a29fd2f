"""`generate --interactive`: prompts and commands line by line, mistakes that are passed over, and how it ends."""

import io
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microgpt_core.cli.interactive import Interactive, typed_lines
from microgpt_core.cli.main import main
from microgpt_core.errors import NonFiniteError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.reading.generate_settings import GenerateSettings
from microgpt_core.saving.model_folder import write_model
from microgpt_core.text.char import Char


@pytest.fixture
def model() -> LanguageModel:
    network = GPT(vocab_size=6, block_size=8, n_head=2, n_embd=8, init_std=0.4, init_output_std=0.4)
    network.allocate()
    network.initialise(random.Random(3))
    return LanguageModel(network, Char().train(["abcde"]))


@pytest.fixture
def folder(model: LanguageModel, tmp_path: Path) -> str:
    write_model(tmp_path, model.model, model.tokenizer)
    return str(tmp_path)


@pytest.fixture
def endless(tmp_path: Path) -> str:
    """The folder of a model that never ends a text: it has no BOS."""
    network = GPT(vocab_size=5, block_size=8, n_head=2, n_embd=8, init_std=0.4)
    network.allocate()
    network.initialise(random.Random(3))
    write_model(tmp_path, network, Char(add_bos=False).train(["abcde"]))
    return str(tmp_path)


def microgpt(*args: str, typed: str | bytes = "") -> Result:
    return CliRunner().invoke(main, list(args), input=typed, prog_name="microgpt")


def talk(
    model: LanguageModel, capsys: pytest.CaptureFixture[str], *lines: str, **settings
) -> tuple[GenerateSettings, list[str], list[str]]:
    """The settings in the end, what went to stdout, and what to stderr."""
    conversation = Interactive(model, GenerateSettings(**{"seed": 5, "max_new_tokens": 12} | settings))
    conversation.answer(iter(lines))
    captured = capsys.readouterr()
    return conversation.settings, captured.out.splitlines(), captured.err.splitlines()


def test_each_line_is_continued(model: LanguageModel, capsys: pytest.CaptureFixture[str]) -> None:
    """As `generate` does with that seed; also an empty line."""
    _, out, err = talk(model, capsys, "ab", "", "c")
    assert out == model.generate_many(["ab", "", "c"], seed=5, max_new_tokens=12)
    assert err == []


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        ("/temperature 0.5", "temperature", 0.5),
        ("/temp 0", "temperature", 0.0),
        ("/top_k 10", "top_k", 10),
        ("/topk  2 ", "top_k", 2),
        ("/top_k none", "top_k", None),
        ("/top_p 0.9", "top_p", 0.9),
        ("/max_new_tokens 50", "max_new_tokens", 50),
        ("/max none", "max_new_tokens", None),
        ("/seed 1", "seed", 1),
        ("/seed none", "seed", None),
    ],
)
def test_a_command_changes_a_setting_and_says_so(
    model: LanguageModel, capsys: pytest.CaptureFixture[str], command: str, name: str, value: object
) -> None:
    settings, out, err = talk(model, capsys, command, top_k=4)
    assert vars(settings) == vars(GenerateSettings(**{"seed": 5, "max_new_tokens": 12, "top_k": 4} | {name: value}))
    assert out == []
    assert f"{name} {value}" in err[0].split(", ")


def test_settings_hold_for_the_texts_after_them(model: LanguageModel, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["b", "/temperature 0", "b", "b", "/max_new_tokens 1", "b"]
    _, out, _ = talk(model, capsys, *lines)
    assert out[0] == model.generate_many(["b"], seed=5, max_new_tokens=12)[0]
    assert out[1] == out[2] == model.generate("b", temperature=0, max_new_tokens=12)
    assert len(out[3]) == 2


def test_a_seed_begins_the_same_series_again(model: LanguageModel, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = talk(model, capsys, "a", "a", "/seed 9", "a", "a", "/seed 5", "a", "a")
    assert out[:2] == out[4:]
    assert out[0] != out[1]
    assert out[2:4] == model.generate_many(["a", "a"], seed=9, max_new_tokens=12)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/tempreature 1", "unknown command '/tempreature' (did you mean '/temperature'?); known: /help, /max_new"),
        ("/top 3", "unknown command '/top' (did you mean '/top_p'?); known: /top_k, /top_p"),  # it could be either
        ("/s", "unknown command '/s'; known: /seed, /settings"),
        ("/", "unknown command '/'; known: /help"),
        ("/temperature hot", "/temperature: found 'hot', allowed: a number"),
        ("/temperature none", "/temperature: found 'none', allowed: a number"),
        ("/temperature", "/temperature: found '', allowed: a number"),
        ("/temperature -1", "temperature: found -1.0, allowed: 0 or more"),
        ("/top_k 1.5", "/top_k: found '1.5', allowed: a number"),
        ("/top_k 0", "top_k: found 0, allowed: 1 or more"),
        ("/top_p 2", "top_p: found 2.0, allowed: more than 0, up to 1"),
        ("/max_new_tokens 0", "max_new_tokens: found 0, allowed: 1 or more"),
        ("/seed -1", "seed: found -1, allowed: 0 or more"),
        ("abx", "unknown character 'x' (U+0078) at position 2; allowed: 'abcde'"),
    ],
)
def test_a_mistake_is_told_and_passed_over(
    model: LanguageModel, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    settings, out, err = talk(model, capsys, line, "ab")
    assert vars(settings) == vars(GenerateSettings(seed=5, max_new_tokens=12))
    assert out == model.generate_many(["ab"], seed=5, max_new_tokens=12)
    assert len(err) == 1
    assert err[0].startswith(f"error: {message}")


def test_help_and_settings(model: LanguageModel, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = talk(model, capsys, "/settings", "/help", "/quit", "a")
    assert out == []  # nothing after /quit
    assert err[0] == "temperature 0.8, top_k None, top_p None, max_new_tokens 12, seed 5"
    for command in ("temperature", "top_k", "top_p", "max_new_tokens", "seed", "settings", "help", "quit"):
        assert f"/{command}" in "\n".join(err[1:])


def test_ctrl_c_stops_a_text_and_the_next_is_whole(
    model: LanguageModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had been written stays; the texts after it are those that they would have been."""
    expected, stream = model.generate_many(["a", "b", "c"], seed=5, max_new_tokens=12, temperature=2.0), model.stream

    def interrupted(prompt: str, **settings) -> Iterator:
        tokens = stream(prompt, **settings)
        if prompt == "a":
            yield next(tokens)
            raise KeyboardInterrupt
        yield from tokens

    monkeypatch.setattr(model, "stream", interrupted)
    _, out, err = talk(model, capsys, "a", "b", "c", temperature=2.0)
    assert out == [expected[0][:2], *expected[1:]]
    assert err == ["stopped"]


def test_ctrl_c_at_the_prompt_ends_and_damaged_weights_do(
    model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> Iterator[str]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        Interactive(model, GenerateSettings()).answer(interrupted())
    model.model.lm_head.weight.data[0, 0] = float("nan")
    with pytest.raises(NonFiniteError):
        talk(model, capsys, "a")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_prompt_is_shown_where_somebody_types(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, so that it never gets among the texts."""
    stdin = io.TextIOWrapper(io.BytesIO("a\r\né\n\n".encode() + b"\xff"), encoding="ascii")
    monkeypatch.setattr(stdin, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stdin", stdin)
    assert list(typed_lines()) == ["a", "é", "", "\ufffd"]
    assert capsys.readouterr() == ("", "> " * 5 * terminal)


def test_a_pipe_gets_the_texts_of_generate(folder: str) -> None:
    result = microgpt("generate", folder, "-i", "--seed", "4", typed="ab\n\nnein\n/temp 0\nc\n/quit\nab\n")
    assert result.exit_code == 0
    plain = microgpt("generate", folder, "-p", "ab", "-p", "", "-n", "1", "--seed", "4").stdout
    greedy = microgpt("generate", folder, "-p", "c", "-n", "1", "--temperature", "0").stdout
    assert result.stdout == plain + greedy
    assert result.stderr.startswith("error: unknown character 'n'")
    assert microgpt("generate", folder, "-i", "--seed", "4", typed="ab\n").stdout == plain.splitlines(True)[0]


@pytest.mark.parametrize("args", [["--json"], ["-p", "a"]])
def test_what_makes_no_sense_with_it_is_refused(folder: str, args: list[str]) -> None:
    result = microgpt("generate", folder, "-i", *args, typed="a\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--interactive reads its prompts line by line" in result.stderr


SPAWN = """import os, pty, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and so would its children
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of this kind is Unix's")
@pytest.mark.parametrize(("last", "code"), [(b"\x03", 130), (b"\x04", 0)])  # Ctrl-C, Ctrl-D
def test_on_a_terminal(endless: str, last: bytes, code: int) -> None:
    """Ctrl-C in an endless text, then a prompt that works; at the prompt, Ctrl-C or Ctrl-D ends."""
    program = [sys.executable, "-m", "microgpt_core", "generate", endless, "-i", "--max-new-tokens", "1000000000"]
    command, pipe = [sys.executable, "-c", SPAWN, *program], subprocess.PIPE
    # Lines aren't counted there: an interrupt that comes while coverage holds its lock leaves it held for ever.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, env=kept) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for wanted, keys in (
            (b"> ", b"ab\n"),
            (b"d", b"\x03"),
            (b"stopped\r\n> ", b"/settings\n"),
            (b"seed None", last),
        ):
            seen = b""
            while wanted not in seen:
                assert (more := os.read(child.stdout.fileno(), 1000)), seen
                seen += more
            child.stdin.write(keys)
            child.stdin.flush()
        child.communicate()
        assert child.returncode == code
