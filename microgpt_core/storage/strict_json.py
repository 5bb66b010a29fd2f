"""The JSON of file headers: objects, lists, text and counts, read as strictly as the strictest reader does.

Not for configuration files, which may hold fractions and negative numbers.
"""

import json
from typing import Any, NoReturn

COUNT_DIGITS = 19  # every such number fits 64 bits


def parse_object(data: bytes) -> dict[str, Any]:
    """The one JSON object that `data` holds. Raises ValueError for anything else or anything doubtful."""
    if not data.startswith(b"{"):
        raise ValueError(f"it begins with {data[:1]!r}; expected a JSON object, {{...}}")
    try:
        parsed: dict[str, Any] = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_count,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    return parsed


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"the name {name[:100]!r} is there twice")
        # Python reads half a surrogate pair, `"\ud800"`, which no UTF-8 text can hold; encoding it raises ValueError.
        name.encode("utf-8")
        if isinstance(value, str):
            value.encode("utf-8")
        table[name] = value
    return table


def _count(digits: str) -> int:
    if digits.startswith("-") or len(digits) > COUNT_DIGITS:
        _refuse_number(digits)
    return int(digits)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"found the number {text[:40]}; expected a whole number from 0 to 10^{COUNT_DIGITS} - 1")
