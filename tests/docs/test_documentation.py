"""What the README and the docs show is what happens: every snippet and every command is run.

* The ```python fences of a page run in order, in one namespace and one temporary folder; a ```text fence right
  below one is what it prints, to the letter.
* In a ```console or ```bash fence, lines that begin with `$ ` are commands of `microgpt` or `python`; the lines below
  are their output, where `...` stands for anything. They exit with 0, or as a line `[exit 2]` says.
* A comment right above a fence leaves it out: <!-- skip: REASON -->, or <!-- command: NAME --> for the README's
  set-up commands: continuous integration runs `test`, and what the first run prints has a test of its own below.
  <!-- file: NAME --> makes the fence a file of that name.
* The folder has a text of the reader's own in it: my-texts/story.txt.
* A page with <!-- run by: TEST --> needs more than the core: that test of a pack runs it, by `problems` below.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import pytest

import microgpt_core

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(file.relative_to(ROOT).as_posix() for file in [*ROOT.glob("README.md"), *ROOT.glob("docs/**/*.md")])
ELSEWHERE = {
    path: found[1]
    for path in PAGES
    if (found := re.search(r"^<!-- run by: (.*?) -->$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE))
}
SNIPPET_RUNNER = Path(__file__).with_name("run_snippets.py")
STORY = "Once there was a model that had read one story, and this was it.\n" * 30
LIMIT = 30.0  # seconds for a snippet or a command
PROGRAMS = {"microgpt": ["-m", "microgpt_core"], "python": list[str]()}

FENCE = re.compile(
    r"^(?:<!-- *(?P<marker>[\w-]+): *(?P<reason>.*?) *-->\n)?"
    r"(?P<indent> *)(?P<ticks>```+)(?P<language>\w*)[^`\n]*\n(?P<source>.*?)^(?P=indent)(?P=ticks)`* *$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Fence:
    """A fenced block of a page; `shown` is the text fence right below it."""

    language: str
    source: str
    line: int  # of the source's first line in the page
    marker: str  # "skip", "command", "file" or ""
    reason: str
    shown: str | None = None


@dataclass
class Command:
    """A command of a console fence, and what the page says that it does."""

    line: int
    words: list[str]
    shown: list[str]
    exit_code: int = 0


def read_fences(text: str) -> list[Fence]:
    fences: list[Fence] = []
    end = 0
    for found in FENCE.finditer(text):
        source = re.sub(f"^{found['indent']}", "", found["source"], flags=re.MULTILINE)
        if fences and found["language"] == "text" and not text[end : found.start()].strip():
            fences[-1].shown = source
        line = text.count("\n", 0, found.start("source")) + 1
        fences.append(Fence(found["language"], source, line, found["marker"] or "", found["reason"] or ""))
        end = found.end()
    return fences


def read_commands(fence: Fence) -> list[Command]:
    commands: list[Command] = []
    unfinished = False  # the line before ended in a backslash
    for line, text in enumerate(fence.source.splitlines(), fence.line):
        if unfinished:
            commands[-1].words += shlex.split(text.removesuffix("\\"))
            unfinished = text.endswith("\\")
        elif text.startswith("$ "):
            commands.append(Command(line, shlex.split(text[2:].removesuffix("\\")), []))
            unfinished = text.endswith("\\")
        elif exit_code := re.fullmatch(r"\[exit (\d+)\]", text):
            commands[-1].exit_code = int(exit_code[1])
        elif commands:
            commands[-1].shown.append(text.rstrip())
    return commands


def environment(folder: Path) -> dict[str, str]:
    """This process's, with the microgpt under test, a cache of its own, and nothing that changes what is printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MICROGPT_")}
    found = [str(Path(microgpt_core.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {
        "PYTHONPATH": os.pathsep.join(found),
        "PYTHONUNBUFFERED": "1",  # or lines of stdout and stderr would change places
        "PYTHONUTF8": "1",
        "MICROGPT_CACHE": str(folder / ".cache"),
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }


class Snippets:
    """The process in which a page's Python snippets run."""

    def __init__(self, folder: Path) -> None:
        self.errors = folder / ".stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", str(SNIPPET_RUNNER)],
                cwd=folder, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                encoding="utf-8",
            )  # fmt: skip

    def run(self, source: str, limit: float) -> str | None:
        """What the snippet printed; None if it didn't come to its end, which also ends this process."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        timer = Timer(limit, self.process.kill)
        timer.start()
        try:
            print(json.dumps(source), file=stdin, flush=True)
            reply = stdout.readline()
        finally:
            timer.cancel()
        return json.loads(reply) if reply else None

    def why(self) -> str:
        """How the process ended: the traceback, unless it was killed."""
        self.process.wait()
        return self.errors.read_text(encoding="utf-8").strip() or "it ended early, or ran past the time limit"

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()  # ends the loop over its input
        self.process.wait()
        self.process.stdout.close()


def problems(page: Path, folder: Path, limit: float = LIMIT) -> Iterator[str]:
    """Run a page in an empty folder: everything that isn't as the page shows it."""
    (folder / "my-texts").mkdir()
    (folder / "my-texts" / "story.txt").write_text(STORY, encoding="utf-8", newline="\n")
    with closing(Snippets(folder)) as snippets:
        for fence in read_fences(page.read_text(encoding="utf-8")):
            where = f"{page.name}:{fence.line}"
            if fence.marker == "file" and fence.reason:
                (folder / fence.reason).write_text(fence.source, encoding="utf-8", newline="\n")
            elif fence.marker:
                if fence.marker not in {"skip", "command"} or not fence.reason:
                    allowed = "skip: REASON, command: NAME or file: NAME"
                    yield f"{where}: <!-- {fence.marker}: {fence.reason} --> is no {allowed}"
            elif fence.language == "python":
                printed = snippets.run(fence.source, limit)
                if printed is None:
                    yield f"{where}: {snippets.why()}"
                    return  # what follows builds on it
                if fence.shown is not None and printed != fence.shown:
                    yield f"{where}: shown\n{fence.shown}\nprinted\n{printed}"
            elif fence.language in {"console", "bash"}:
                yield from console_problems(fence, page.name, folder, limit)


def console_problems(fence: Fence, page: str, folder: Path, limit: float) -> Iterator[str]:
    commands = read_commands(fence)
    if not commands:
        yield f"{page}:{fence.line}: nothing is run here; begin commands with `$ `, or say <!-- skip: REASON -->"
    for command in commands:
        where = f"{page}:{command.line}"
        if command.words[0] not in PROGRAMS:
            yield f"{where}: only microgpt and python are run, found {command.words[0]}; say <!-- skip: REASON -->"
            continue
        try:
            done = run(command.words, folder, limit)
        except subprocess.TimeoutExpired:
            yield f"{where}: still running at the time limit"
            continue
        if done.returncode != command.exit_code:
            yield f"{where}: exit code {done.returncode}, expected {command.exit_code}\n{done.stdout}"
        elif command.shown and not looks_like(command.shown, done.stdout.splitlines()):
            yield f"{where}: shown\n{chr(10).join(command.shown)}\nprinted\n{done.stdout}"


def run(words: list[str], folder: Path, limit: float) -> subprocess.CompletedProcess[str]:
    """Run one of PROGRAMS in a folder; its stdout has stderr in between."""
    return subprocess.run(
        [sys.executable, *PROGRAMS[words[0]], *words[1:]],
        cwd=folder, env=environment(folder), timeout=limit, encoding="utf-8",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def looks_like(shown: list[str], printed: list[str]) -> bool:
    """Whether the printed lines are those shown; `...` stands for anything in a line, alone for any number of lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed)) is not None


@pytest.mark.parametrize(("path", "test"), ELSEWHERE.items())
def test_a_page_that_needs_a_pack_is_run_by_its_tests(path: str, test: str) -> None:
    assert Path(path).name in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [path for path in PAGES if path not in ELSEWHERE])
def test_a_page_does_what_it_shows(path: str, tmp_path: Path) -> None:
    found = list(problems(ROOT / path, tmp_path))
    assert not found, "\n\n".join(found)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="another system's exp and log may round otherwise")
def test_the_first_run_prints_and_draws_what_the_readme_shows(tmp_path: Path) -> None:
    """All but its speed, to the last digit. Where numbers change for a reason, show those of a new run."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    fences = iter(read_fences(page))
    command = next(fence for fence in fences if (fence.marker, fence.reason) == ("command", "run"))
    timeless = re.sub(r" *[\d,]+ tokens/s.*", "...", next(fences).source)
    shown = timeless.replace("\nstep", "\n...\nstep").splitlines()  # a slow machine says more of its progress
    words = command.source.splitlines()[-1].removeprefix(".venv/bin/").split()
    printed = run(words, tmp_path, 600.0).stdout.splitlines()
    assert looks_like(shown, printed), "\n".join(printed)
    for i, line in enumerate(shown):  # the planted bugs: one line's digits are others
        other = line.translate(str.maketrans("0123456789", "1234567890"))
        assert other == line or not looks_like([*shown[:i], other, *shown[i + 1 :]], printed)
    (loss,) = re.findall(r"validation loss (\d\.\d+)", "\n".join(printed))
    assert f"After 1,000 steps it is {float(loss):.3f} on" in page
    run(["python", str(ROOT / "scripts" / "draw_loss.py"), "runs/names-1", "loss.svg"], tmp_path, LIMIT)
    assert (tmp_path / "loss.svg").read_bytes() == (ROOT / "docs" / "images" / "names-loss.svg").read_bytes()


PYTHON = "```python\n{}\n```\n"
SHOWN = "\n```text\n{}\n```\n"
CONSOLE = "```console\n{}\n```\n"

GOOD = {
    "a snippet": PYTHON.format("x = 1 + 1\nprint(x)") + SHOWN.format("2"),
    "one namespace": PYTHON.format("x = 2") + "words\n\n" + PYTHON.format("print(x)\nprint(x)") + SHOWN.format("2\n2"),
    "one folder": PYTHON.format("open('a.py', 'w', encoding='utf-8').write('print(7)')\n")
    + CONSOLE.format("$ python a.py\n7"),
    "a warning on stderr": PYTHON.format("import sys\nprint('careful', file=sys.stderr)") + SHOWN.format("careful"),
    "in a list": "1. so\n\n   ```python\n   if 1:\n       print(2)\n   ```\n\n   ```text\n   2\n   ```\n",
    "microgpt": CONSOLE.format("$ microgpt --help\nUsage: ...\n..."),
    "two commands": CONSOLE.format("$ python -c 'print(1)'\n1\n$ python -c \\\n'print(2)'\n2"),
    "an expected failure": CONSOLE.format("$ python -c 'exit(2)'\n[exit 2]"),
    "left out": "<!-- skip: needs a network -->\n" + PYTHON.format("1 / 0"),
    "a set-up command": "<!-- command: run -->\n```bash\nrm\n```\n",
    "a file": "<!-- file: a.py -->\n" + PYTHON.format("print(7)") + CONSOLE.format("$ python a.py\n7"),
    "not a program": "```yaml\nname: names\n```\n\n```text\nwords\n```\n",
    "a fence in a fence": "````markdown\n```python\n1 / 0\n```\n````\n",
}
BAD = {
    "a wrong output": PYTHON.format("print(1 + 1)") + SHOWN.format("3"),
    "an output cut short": PYTHON.format("print(1)\nprint(2)") + SHOWN.format("1"),
    "a wildcard in a snippet's output": PYTHON.format("print(1)") + SHOWN.format("..."),
    "an exception": PYTHON.format("1 / 0"),
    "an exit": PYTHON.format("exit()"),
    "a syntax error": PYTHON.format("1 +"),
    "a Python warning": PYTHON.format("import warnings\nwarnings.warn('old')"),
    "an endless loop": PYTHON.format("while True: pass"),
    "a command that never ends": CONSOLE.format("$ python -c 'while True: pass'"),
    "a command's wrong output": CONSOLE.format("$ python -c 'print(1)'\n2"),
    "a command's output cut short": CONSOLE.format("$ python -c 'print(1); print(2)'\n1"),
    "a command that fails": CONSOLE.format("$ python -c 'exit(2)'"),
    "a command that doesn't fail": CONSOLE.format("$ python -c 'pass'\n[exit 2]"),
    "an unknown option": CONSOLE.format("$ microgpt --no-such-option"),
    "another program": CONSOLE.format("$ pip install something"),
    "no command": CONSOLE.format("pip install something"),
    "no reason to skip": "<!-- skip: -->\n" + PYTHON.format("1 / 0"),
    "a file without a name": "<!-- file: -->\n" + PYTHON.format("1 / 0"),
    "a misspelt comment": "<!-- skipped: too slow -->\n" + PYTHON.format("1 / 0"),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_right_page_passes(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text, encoding="utf-8", newline="\n")
    assert not list(problems(tmp_path / "page.md", tmp_path))


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_planted_bug_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text, encoding="utf-8", newline="\n")
    assert list(problems(tmp_path / "page.md", tmp_path, limit=3.0))


def test_an_exception_is_shown_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Title\n\n" + PYTHON.format("x = 1\n1 / 0"), encoding="utf-8", newline="\n")
    (found,) = problems(tmp_path / "page.md", tmp_path)
    assert found.startswith("page.md:4: ")  # the snippet's first line
    assert 'File "<stdin>", line 2' in found
    assert "ZeroDivisionError" in found
