"""What differs between several pieces of plain data, by dotted key."""

from collections.abc import Mapping
from typing import Any


def differing(*sides: Mapping[str, Any]) -> dict[str, list[Any]]:
    """`{"model.n_layer": [1, 2]}`: each key that isn't the same on all sides, with its values; None: no such key.

    A list is one value.
    """
    flattened = [flat(side) for side in sides]
    keys = dict.fromkeys(key for side in flattened for key in side)
    values = {key: [side.get(key) for side in flattened] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def said(key: str, then: Any, now: Any) -> str:
    """`key was 1, is 2`; None: it isn't there."""
    was, is_now = ("not there" if value is None else short(value) for value in (then, now))
    return f"{key} was {was}, is {is_now}"


def short(value: Any) -> str:
    """A value in a few letters: of a digest the first."""
    text = str(value)
    return f"{text[:12]}..." if len(text) > 60 and text.isalnum() else text


def flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"model": {"n_layer": 1}}` as `{"model.n_layer": 1}`."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return found
