"""An option's type and bounds in words, from its JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "multipleOf": "divisible by {}",
    "pattern": "matches {}",
}

Schema = Mapping[str, Any]


def type_in_words(schema: Schema, shared: Schema) -> str:
    """What kind of value is expected.

    >>> type_in_words({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {})
    'whole number or null'
    >>> type_in_words({"type": "array", "items": {"enum": ["a", "b"]}}, {})
    'list of: a or b'
    """
    schema = _resolved(schema, shared)
    either = [one for key in ("anyOf", "oneOf") for one in schema.get(key, ())]
    if either:
        return _either(list(dict.fromkeys(type_in_words(one, shared) for one in either)))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        return _either([str(value) for value in values])
    if schema.get("type") in ("array", "object"):
        return (_list if schema["type"] == "array" else _names)(schema, shared)
    return "path" if "path" in schema.get("format", "") else _WORDS.get(str(schema.get("type")), "any value")


def _list(schema: Schema, shared: Schema) -> str:
    if "prefixItems" in schema:
        kinds = [type_in_words(one, shared) for one in schema["prefixItems"]]
        each = kinds[0] if len(set(kinds)) == 1 else ", ".join(kinds)
        return f"list of {len(kinds)}: {each}"
    return f"list of: {type_in_words(schema.get('items', {}), shared)}"


def _names(schema: Schema, shared: Schema) -> str:
    values = schema.get("additionalProperties")
    return f"names to: {type_in_words(values, shared)}" if isinstance(values, Mapping) else "names to values"


def bounds_in_words(schema: Schema, shared: Schema) -> str:
    """Within which limits, "" without any.

    >>> bounds_in_words({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, {})
    'above 0, at most 1'
    """
    schema = _resolved(schema, shared)
    own = [words.format(_number(schema[key])) for key, words in _bounds(schema).items() if key in schema]
    inner = [one for key in ("anyOf", "oneOf") for one in schema.get(key, ())]
    if not own and isinstance(schema.get("items"), Mapping):
        inner.append(schema["items"])
    inner += schema.get("prefixItems", ())
    found = list(dict.fromkeys(text for one in inner if (text := bounds_in_words(one, shared))))
    return ", ".join([*own, *found])


def _bounds(schema: Schema) -> Mapping[str, str]:
    """Words by key; the length of a list of so many is said by its type."""
    fixed = ("minItems", "maxItems") if "prefixItems" in schema else ()
    return {key: words for key, words in _BOUNDS.items() if key not in fixed}


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else f"`{value}`"


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 2 else words)


def _resolved(schema: Schema, shared: Schema) -> Schema:
    """What a reference stands for."""
    while "$ref" in schema:
        schema = shared[schema["$ref"].rpartition("/")[2]]
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return _resolved(schema["allOf"][0], shared)
    return schema
