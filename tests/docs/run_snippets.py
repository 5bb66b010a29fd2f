"""Run one page's Python snippets in one namespace: in comes a snippet as a line of JSON, out goes what it printed.

test_documentation.py starts it in a process of its own, so that a snippet may hang or exit without harm.
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import ModuleType


def main() -> None:
    page = sys.modules["__main__"] = ModuleType("__main__")  # to the snippets, they are the program
    for line in sys.stdin:
        code, printed = compile(json.loads(line), "<stdin>", "exec"), io.StringIO()  # the file's name as typed in
        with redirect_stdout(printed), redirect_stderr(printed):
            exec(code, page.__dict__)
        print(json.dumps(printed.getvalue()), flush=True)


if __name__ == "__main__":
    main()
