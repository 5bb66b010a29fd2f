"""Reading one installed pack: import its module and ask its hooks, as far as that goes."""

import json
import os
import sys
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TextIO
from urllib.parse import unquote, urlsplit

from microgpt_core.plugins.discovery import Point
from microgpt_core.plugins.hooks import answers, checked, declared, deprecated, trace
from microgpt_core.plugins.isolation import captured, within
from microgpt_core.plugins.pack import Pack

TRACE = "MICROGPT_TRACE_PLUGINS"


def read_pack(pack: Pack, point: Point, limit: float) -> None:
    """Fill in a pack's components, and what its import was like; `pack.stage` says how far it came.

    Raises whatever the pack does, and TimeoutError after `limit` seconds.
    """
    trace_to = sys.stderr if os.environ.get(TRACE) == "1" else None
    try:
        with captured() as said:
            within(limit, partial(ask, pack, point, trace_to))
    finally:
        pack.output = "".join(said)


def ask(pack: Pack, point: Point, trace_to: TextIO | None) -> None:
    """Import the module, find its hooks, call them, and check what they return."""
    start, pack.stage = perf_counter(), "import"
    plugin = point.entry.load()
    pack.seconds, pack.file = perf_counter() - start, getattr(plugin, "__file__", None) or pack.file
    pack.stage = "hooks"
    manager = declared(plugin)
    pack.deprecated = deprecated(manager)
    if trace_to:
        print(f"{pack.name}: import {point.value}: {1e3 * pack.seconds:.2f} ms", file=trace_to)
        trace(manager, pack.name, trace_to)
    pack.stage = "call"
    returned = answers(manager)
    pack.stage = "check"
    pack.components = checked(returned)


def module_file(point: Point) -> str:
    """The file that importing a pack would run, or the folder of an editable install; "" where metadata doesn't say."""
    distribution, module = point.entry.dist, point.value.partition(":")[0].strip().replace(".", "/")
    if distribution is None:
        return ""
    try:
        for name in (f"{module}.py", f"{module}/__init__.py"):
            if (file := Path(str(distribution.locate_file(name)))).is_file():
                return str(file)
        url = json.loads(distribution.read_text("direct_url.json") or "{}").get("url", "")
        return unquote(urlsplit(url).path) if url.startswith("file:") else ""
    except (ValueError, AttributeError):  # somebody else's metadata
        return ""
