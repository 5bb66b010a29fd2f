"""What the fields of this pack's optimizers and schedules may be. Each raises ConfigurationError naming the field."""

from math import isfinite

from microgpt_core.errors import require


def check_above(field: str, value: float) -> None:
    require(isfinite(value) and value > 0, field, value, "more than 0")


def check_not_below(field: str, value: float) -> None:
    require(isfinite(value) and value >= 0, field, value, "0 or more")


def check_share(field: str, value: float) -> None:
    require(0.0 <= value < 1.0, field, value, "0 to 1, without 1")


def check_fraction(field: str, value: float) -> None:
    require(0.0 <= value <= 1.0, field, value, "0 to 1")


def check_count(field: str, value: int) -> None:
    require(value >= 1, field, value, "1 or more")
