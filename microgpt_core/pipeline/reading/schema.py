"""Whether a value fits a type, said in words that a beginner knows. The only module that knows pydantic."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, PydanticOmit, core_schema

from microgpt_core.errors import nearest
from microgpt_core.pipeline.reading.yaml_reader import Document, Location

CONFIG = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)

EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "none_required": "null",
    "path_type": "a path",
    "missing": "a longer list",
    "json_invalid": "text that UTF-8 can hold",
}
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]{1,2})?")
WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false", "none": "null"}  # as other languages say it
UNWRITABLE = "needs_python_object"  # a branch such as `Op` of `str | Op`: nothing in YAML is one


class Writable(GenerateJsonSchema):
    """JSON Schema without the branches of a type that nothing in YAML is."""

    def handle_invalid_for_json_schema(self, schema: core_schema.CoreSchema, error_info: str) -> JsonSchemaValue:
        raise PydanticOmit


def json_schema(annotation: Any) -> dict[str, Any]:
    """What editors are told of a type."""
    return TypeAdapter(annotation, config=CONFIG).json_schema(schema_generator=Writable)


def validate(annotation: Any, value: Any) -> tuple[Any, list[tuple[Location, str]]]:
    """(the value as the type has it, no problems), or (None, problems as (path inside the value, message)).

    JSON's rules: a list does for a tuple, an integer for a float, and nothing else is converted.
    """
    try:
        return TypeAdapter(annotation, config=CONFIG).validate_json(json.dumps(value)), []
    except ValidationError as error:
        return None, list(problems(error.errors(include_url=False), value))


def validate_all(
    document: Document, path: Location, types: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Those of the given values that are of their types; the others are noted as the document's problems."""
    valid: dict[str, Any] = {}
    for key in [key for key in given if key in types]:
        value, wrong = validate(types[key], given[key])
        for inner, said in wrong:
            document.problem((*path, key, *inner), said)
        if not wrong:
            valid[key] = value
    return valid


def problems(errors: list[ErrorDetails], value: Any) -> Iterator[tuple[Location, str]]:
    """One problem for each place; of a union's branches, those that went deepest into the value."""
    by_path: dict[Location, list[ErrorDetails]] = {}
    for error in errors:
        if error["type"] != UNWRITABLE:
            by_path.setdefault(follow(value, error["loc"])[0], []).append(error)
    for path, found in by_path.items():
        if not any(other[: len(path)] == path != other for other in by_path):
            yield path, message(found, follow(value, path)[1])


def follow(value: Any, location: Location) -> tuple[Location, Any]:
    """The path inside the value, without the names of a union's branches that pydantic puts in, and what is there."""
    path: Location = ()
    for step in location:
        is_key = isinstance(value, dict) and step in value
        if is_key or (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            path, value = (*path, step), value[step]
    return path, value


def message(errors: list[ErrorDetails], value: Any) -> str:
    """`expected text or a list, found 3`."""
    allowed = [choice for e in errors if e["type"] == "literal_error" for choice in choices(e)]
    hint = nearest(value, allowed) if isinstance(value, str) else ""
    expected = " or ".join(dict.fromkeys(map(expectation, errors)))
    return f"expected {expected}, found {shown(value)}{hint or instead(value, expected)}"


def instead(value: Any, expected: str) -> str:
    """`; write 8`, where 8.0, "8" or 8_000 was meant to be a number, or `yes` to be true."""
    word = WORDS.get(value.lower()) if isinstance(value, str) else None
    if word == "null" or (word and "true or false" in expected):
        return f"; write {word}"
    digits = re.sub("[_,]", "", value) if isinstance(value, str) else repr(value)
    if isinstance(value, str | float) and NUMBER.fullmatch(digits):
        number = float(digits)
        if "a number" in expected or ("an integer" in expected and number.is_integer()):
            return f"; write {int(number) if number.is_integer() else digits}"
    return ""


def expectation(error: ErrorDetails) -> str:
    if error["type"] == "literal_error":
        allowed = choices(error)
        return f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0]
    if error["type"] == "too_long":
        return f"a list of {error['ctx']['max_length']}"
    return EXPECTED.get(error["type"], error["msg"])


def choices(error: ErrorDetails) -> list[str]:
    """What a Literal allows; pydantic has it as `'a', 'b' or 'c'`."""
    return [part.strip("'") for part in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]


def shown(value: Any) -> str:
    """A value as a message shows it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
