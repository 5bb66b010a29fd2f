"""One candidate's process, as who measures sees it."""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.pin import can_pin, thread_environment
from microgpt_core.errors import ConfigurationError, MicrogptError

TEMPORARY = ("TMPDIR", "TEMP", "TMP")
PATHS = ("PYTHONPATH", "PYTHONHOME")
LONGEST_ANSWER = 1800.0  # seconds: more than the longest compilation that was seen


class CannotRunError(MicrogptError):
    """A candidate can't do this work here; the others can."""


class Racer:
    """A process that does one kind of work. `with Racer(candidate) as racer:` ends it, whatever happens."""

    def __init__(self, candidate: Candidate, pinned: bool = True, scratch: str = "") -> None:
        """`scratch` is its folder for temporary files: what it compiles, no other candidate finds compiled there."""
        self.candidate, self.pinned = candidate, pinned and can_pin()
        # In a file, since a pipe that nobody reads fills up; closed when the process has ended.
        self.stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.began = perf_counter()
        # -P: a clone that is the current folder mustn't stand in for what another environment has installed
        self.process = subprocess.Popen(
            [candidate.python, "-P", "-m", "microgpt_bench.measuring.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            encoding="utf-8",
            env=environment(candidate) | (dict.fromkeys(TEMPORARY, scratch) if scratch else {}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()
        self.stderr.close()

    def prepare(self, work: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Have it build what is measured, and do it once. Raises CannotRunError where it can't.

        Returns what is said of the work, and `first_s`: the seconds from the process's start to its first turn's end.
        """
        facts = self.tell(do="prepare", work=work, candidate=asdict(self.candidate), pinned=self.pinned, **settings)
        return facts | {"first_s": perf_counter() - self.began}

    def run(self, n: int) -> dict[str, Any]:
        """The nanoseconds that `n` turns took: `ns`, of its `parts` if it has any, and of the `yardstick` after it."""
        return self.tell(do="run", n=n)

    def tell(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        limit = threading.Timer(LONGEST_ANSWER, self.process.kill)
        limit.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:  # of a pipe whose other end is gone; Windows has its own kind of it
            line = ""
        finally:
            limit.cancel()
        if not line:
            raise CannotRunError(f"{self.candidate.label}: {self.end()}")
        answer: dict[str, Any] = json.loads(line)
        if "cannot" in answer:
            raise CannotRunError(f"{self.candidate.label}: {answer['cannot']}")
        if "failed" in answer:
            raise ConfigurationError(f"{self.candidate.label} failed:\n{answer['failed']}")
        return answer

    def end(self) -> str:
        """How the process ended: its exit code, what that may mean, and the last line that it wrote to stderr."""
        code = self.process.wait()
        why = f" (killed: no answer in {LONGEST_ANSWER:.0f} s, or no memory for so many)" if code == -9 else ""
        self.stderr.seek(0)
        last = self.stderr.read().splitlines()[-1:]
        return f"its process ended with exit code {code}{why}{''.join(f': {line}' for line in last)}"


def environment(candidate: Candidate) -> dict[str, str]:
    """The variables of its process. Paths of this environment would have another one import what is here."""
    kept = {name: value for name, value in os.environ.items() if not (candidate.environment and name in PATHS)}
    return kept | thread_environment(candidate.threads)
