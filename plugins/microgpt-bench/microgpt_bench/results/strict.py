"""Plain JSON as dataclasses: every field there, every value of its type, or an error that says where it isn't."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from math import isfinite
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

WORDS = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false", NoneType: "null"}


class UnfitError(ValueError):
    """A value of another kind than its place wants."""

    def __init__(self, place: str, found: Any, allowed: str) -> None:
        text = repr(found)
        super().__init__(f"{place}: found {text if len(text) <= 60 else text[:57] + '...'}, allowed: {allowed}")


def conform(kind: Any, value: Any, place: str) -> Any:
    """The value as the type `kind` says. Raises UnfitError. Fields that a dataclass doesn't have are passed over."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return made(kind, value, place)
    if origin in (list, tuple):
        if not isinstance(value, list):
            raise UnfitError(place, value, "a list")
        return origin(conform(inner[0], one, f"{place}[{i}]") for i, one in enumerate(value))
    if origin is dict:
        return {key: conform(inner[1], one, f"{place}.{key}") for key, one in mapping(value, place).items()}
    kinds = inner if origin is UnionType else (kind,)
    if not any(kind is Any or fits(kind, value) for kind in kinds):
        raise UnfitError(place, value, " or ".join(WORDS[kind] for kind in kinds))
    return value


def fits(kind: Any, value: Any) -> bool:
    """Whether a value is plain and of the kind. True is no number here, but 1 may stand for 1.0."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return type(value) is kind


def mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnfitError(place, value, "an object, {...}")
    return value


def made(kind: Any, value: Any, place: str) -> Any:
    """A dataclass of an object."""
    given, hints = mapping(value, place), get_type_hints(kind)
    missing = [one.name for one in fields(kind) if required(one) and one.name not in given]
    if missing:
        raise UnfitError(place, sorted(given), f"an object that has {', '.join(missing)}, too")
    known = [one.name for one in fields(kind) if one.name in given]
    return kind(**{name: conform(hints[name], given[name], f"{place}.{name}") for name in known})


def required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING
