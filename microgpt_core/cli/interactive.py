"""`microgpt generate --interactive`: each line is a prompt to continue, or a command.

What the model writes goes to stdout, all else to stderr.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import click

from microgpt_core.errors import ConfigurationError, DataError, UnknownNameError
from microgpt_core.inference.generate import Token
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.inference.sampling import sample_rng
from microgpt_core.pipeline.reading.generate_settings import GenerateSettings

KINDS: dict[str, type[float]] = {"temperature": float, "top_k": int, "top_p": float, "max_new_tokens": int, "seed": int}
COMMANDS = (*KINDS, "settings", "help", "quit")
HELP = """A line is a prompt; after an empty one the model begins by itself. Ctrl-C stops a text, Ctrl-D ends.
Commands, also by their first letters: /temperature 0.5, /top_k 10, /top_p 0.9, /max_new_tokens 50, /seed 1 (or none;
microgpt generate --help says what they mean), /settings, /help, /quit"""


class Interactive:
    """A conversation with a model: the settings as they stand, and how many texts there were since the seed."""

    def __init__(self, model: LanguageModel, settings: GenerateSettings) -> None:
        self.model, self.settings, self.n_texts = model, settings, 0

    def answer(self, lines: Iterable[str]) -> None:
        """Do what each line asks for, until they end or one is /quit. A mistake is told and passed over."""
        for line in lines:
            try:
                if not line.startswith("/"):
                    self.write(line)
                elif self.obey(line) == "quit":
                    return
            except (ConfigurationError, DataError) as error:
                click.echo(f"error: {error}", err=True)

    def write(self, prompt: str) -> None:
        """A prompt and what follows: text i since the seed is sample i of `generate` with that seed."""
        rng = sample_rng(self.settings.seed, self.n_texts)
        stream = self.model.stream(prompt, rng=rng, **self.settings.arguments())
        self.n_texts += 1
        try:
            write_text(prompt, stream)
        except KeyboardInterrupt:
            click.echo()
            click.echo("stopped", err=True)

    def obey(self, line: str) -> str:
        """Do as a command says. Returns its whole name."""
        given, _, value = line[1:].partition(" ")
        found = [name for name in COMMANDS if name.replace("_", "").startswith(given.replace("_", ""))]
        if len(found) != 1:
            raise UnknownNameError("command", f"/{given}", [f"/{name}" for name in found or COMMANDS])
        name = found[0]
        if name in KINDS:
            self.change(name, value.strip())
        if name != "quit":
            settings = ", ".join(f"{key} {getattr(self.settings, key)}" for key in KINDS)
            click.echo(HELP if name == "help" else settings, err=True)
        return name

    def change(self, name: str, value: str) -> None:
        """Set one of the settings, or raise ConfigurationError. A seed begins a new series of texts."""
        try:
            changed: Any = None if value == "none" and name != "temperature" else KINDS[name](value)
        except ValueError:
            raise ConfigurationError(f"/{name}: found {value!r}, allowed: a number; see /help") from None
        self.settings = replace(self.settings, **{name: changed})
        self.n_texts = 0 if name == "seed" else self.n_texts


def typed_lines() -> Iterator[str]:
    """The lines that are typed, after a prompt, or that come through a pipe, without one."""
    while True:
        if sys.stdin.isatty():
            click.echo("> ", nl=False, err=True)
        if not (line := sys.stdin.buffer.readline()):
            return
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def write_text(prompt: str, tokens: Iterable[Token]) -> None:
    """A line of text as it is made, character by whole character."""
    click.echo(prompt, nl=False)
    for token in tokens:
        click.echo(token.text, nl=False)
    click.echo()
