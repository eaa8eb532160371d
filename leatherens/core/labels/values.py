"""JSON that other programs wrote, with every fault as one sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from leatherens.core.errors import InputError

_FARTHEST = 1e9  # no picture is as large, and squares of it stay finite


def parse_json(text: str, path: Path, where: str = "") -> Any:
    """What a JSON text holds; `where` says which part of the file it is."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = where or f"line {error.lineno}"
        raise InputError(
            f"{path}: {at}: damaged, not JSON ({error.msg}); export the annotations again"
        ) from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply to be annotations; export them again") from None


def mapping(value: Any, what: str) -> dict[str, Any]:
    """The value, if it is a JSON object."""
    if not isinstance(value, dict):
        raise InputError(f"{what}: expected an object with named values, got {shown(value)}")
    return value


def listing(value: Any, what: str) -> list[Any]:
    """The value, if it is a JSON list."""
    if not isinstance(value, list):
        raise InputError(f"{what}: expected a list, got {shown(value)}")
    return value


def named_value(values: dict[str, Any], key: str, what: str) -> Any:
    """The value of a key that has to be there."""
    if key not in values:
        raise InputError(f"{what}: '{key}' is missing")
    return values[key]


def number(value: Any, what: str, *, least: float = -math.inf) -> float:
    """The value, if it is a number of pixels of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _FARTHEST:
        raise InputError(f"{what}: expected a number, got {shown(value)}")
    if value < least:
        raise InputError(f"{what}: expected {least:g} or more, got {value:g}")
    return value


def shown(value: Any) -> str:
    """A value as short JSON, for messages.

    >>> shown({"x": list(range(99))})
    '{"x": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,...'
    """
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 43 else f"{text[:40]}..."
