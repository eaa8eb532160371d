"""Options as immutable values: validated once, at the door, with the nearest key suggested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from leatherens.core.errors import ConfigError, did_you_mean


class Params(BaseModel):
    """Base of every `Params`: frozen, unknown keys refused, defaults validated."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def _odd(side: int) -> int:
    if side % 2 == 0:
        raise ValueError("expected an odd number, so that the window has a middle")
    return side


OddSide = Annotated[PositiveInt, AfterValidator(_odd)]
"""Side of a window centred on a position."""


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("expected two ends of a range, the smaller first")
    return ends


Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, or a chance."""

ShareRange = Annotated[tuple[Share, Share], AfterValidator(_rising)]
"""What a share is drawn between."""

P = TypeVar("P", bound=BaseModel)


Owner: TypeAlias = "str | Callable[[tuple[str, ...]], str]"
"""Whom a sentence about a wrong key names first, or who says it of each key, by the way to it."""


def parse_params(schema: type[P], options: Mapping[str, Any], *, owner: Owner) -> P:
    """`options` as a `schema`; a `ConfigError` that names `owner` and every wrong key otherwise."""
    if not isinstance(options, Mapping):  # as a damaged file may hold
        raise ConfigError(f"{owner}: expected keys and values, got {type(options).__name__}")
    try:
        return schema.model_validate(dict(options))
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(error, schema, owner))) from None


def _sentences(error: ValidationError, schema: type[BaseModel], asked: Owner) -> list[str]:
    """One sentence per wrong key."""
    sentences = []
    for fault in error.errors():
        way = tuple(map(str, fault["loc"]))
        key, owner = ".".join(way), asked if isinstance(asked, str) else asked(way)
        if fault["type"] == "extra_forbidden":
            known = sorted(_keys_at(schema, way[:-1]))
            hint = did_you_mean(way[-1], known)
            offered = f"options: {', '.join(known)}" if known else "it has none"
            sentences.append(f"{owner}: unknown option '{key}'{hint} ({offered})")
        elif fault["type"] == "missing":
            sentences.append(f"{owner}: option '{key}' is required")
        elif not key:  # a rule between several options
            sentences.append(f"{owner}: {_lowered(fault['msg'])}")
        else:
            sentences.append(f"{owner}: option '{key}': {_lowered(fault['msg'])}, got {fault['input']!r}")
    return sentences


def _keys_at(schema: type[BaseModel], way: tuple[str, ...]) -> list[str]:
    """The keys that a schema takes at the end of a way through it."""
    for key in way:
        field = schema.model_fields.get(key)
        if field is not None:  # else a key or a position in what the last field holds
            schema = next(iter(_schemas(field.annotation)), schema)
    return list(schema.model_fields)


def _schemas(annotation: Any) -> list[type[BaseModel]]:
    """The schemas that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _schemas(part)]


def _lowered(message: str) -> str:
    message = message.removeprefix("Value error, ")  # what pydantic puts before a validator's own words
    return message[:1].lower() + message[1:]
