"""One candidate's process, as who measures sees it."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.pin import can_pin, thread_environment
from microgpt_core.errors import ConfigurationError, MicrogptError


class CannotRunError(MicrogptError):
    """A candidate can't do this work here; the others can."""


class Racer:
    """A process that does one kind of work. `with Racer(candidate) as racer:` ends it, whatever happens."""

    def __init__(self, candidate: Candidate, pinned: bool = True) -> None:
        self.candidate, self.pinned = candidate, pinned and can_pin()
        self.said = tempfile.TemporaryFile(
            "w+", encoding="utf-8", errors="replace"
        )  # a pipe that nobody reads fills up
        # -P: a clone that is the current folder mustn't stand in for what another environment has installed
        self.process = subprocess.Popen(
            [candidate.python, "-P", "-m", "microgpt_bench.measuring.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            encoding="utf-8",
            env=os.environ | thread_environment(candidate.threads),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()
        self.said.close()

    def prepare(self, work: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Have it build what is measured. Raises CannotRunError where it can't."""
        return self.tell(do="prepare", work=work, candidate=asdict(self.candidate), pinned=self.pinned, **settings)

    def run(self, n: int) -> dict[str, Any]:
        """The nanoseconds that `n` turns took: `ns`, of its `parts` if it has any, and of the `yardstick` after it."""
        return self.tell(do="run", n=n)

    def tell(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise CannotRunError(
                f"{self.candidate.label}: its process ended with exit code {self.process.wait()}{self.last_words()}"
            )
        answer: dict[str, Any] = json.loads(line)
        if "cannot" in answer:
            raise CannotRunError(f"{self.candidate.label}: {answer['cannot']}")
        if "failed" in answer:
            raise ConfigurationError(f"{self.candidate.label} failed:\n{answer['failed']}")
        return answer

    def last_words(self) -> str:
        """The last line that it wrote to stderr."""
        self.said.seek(0)
        lines = self.said.read().splitlines()
        return f": {lines[-1]}" if lines else ""
