"""Starting: a new interpreter that does next to nothing, from its beginning to its end."""

import subprocess
import sys
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.work.work import Work
from microgpt_core.errors import ConfigurationError

COMMANDS = {  # what is started -> by whom -> the interpreter's arguments
    "import": {
        "python": ["-c", "pass"],
        "microgpt": ["-c", "import microgpt_core; microgpt_core.GPT"],
        "torch": ["-c", "import torch; torch.nn.Linear"],
    },
    "help": {"python": ["-c", "pass"], "microgpt": ["-m", "microgpt_core", "--help"]},
    "list": {"python": ["-c", "pass"], "microgpt": ["-m", "microgpt_core", "list"]},
}


class Startup(Work):
    """What the worker runs: a turn is a process."""

    def __init__(self, who: Candidate, model: str) -> None:
        self.command = [who.python, *COMMANDS[model][who.use]]

    def run(self, n: int) -> None:
        """Raises ConfigurationError where the program fails, as where it isn't installed."""
        for _ in range(n):
            ended = subprocess.run(self.command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
            if ended.returncode:
                said = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
                raise ConfigurationError(said[0])

    def peak_rss(self) -> int:
        """The largest of the processes that were started; macOS counts in bytes."""
        if sys.platform == "win32":
            return 0
        import resource  # Windows hasn't got it

        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most

    def facts(self) -> dict[str, Any]:
        return {"tokens": 0}
