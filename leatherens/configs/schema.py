"""The JSON Schema of recipe files: a recipe's own keys, what may be said in short, every plugin's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leatherens.configs.checked import KINDS
from leatherens.configs.recipe import Recipe
from leatherens.configs.recipe_file import Own
from leatherens.core.host import PluginHost

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_SIDE: Schema = {"type": "integer", "minimum": 1}


def recipe_schema(host: PluginHost) -> Schema:
    """The schema, with the plugins that there are; those that cannot be loaded are left out, and told."""
    own, recipe = Own.model_json_schema(), Recipe.model_json_schema()
    definitions: Schema = {**own.get("$defs", {}), **recipe.get("$defs", {})}
    keys: Schema = {**own["properties"], **recipe["properties"]}
    members = _options_by_id(host, "detectors", definitions)
    keys["members"] = _members(members, keys["members"])
    for part, kind in KINDS.items():
        keys[part] = _choice(_options_by_id(host, kind, definitions), keys[part], named=False)
    steps = _choice(_options_by_id(host, "preparations", definitions), {}, named=True)
    keys["preparation"] = {**_described(keys["preparation"]), "type": "array", "items": steps}
    for size in ("size", "tile"):
        pair = {"type": "array", "items": _SIDE, "minItems": 2, "maxItems": 2}
        keys[size] = {**_described(keys[size]), "anyOf": [_SIDE, pair, {"type": "null"}]}
    keys["extends"]["examples"] = list(host.scenarios().ids())
    nullable = {key: _or_null(value) for key, value in sorted(keys.items())}
    return {
        "$schema": DRAFT,
        "title": "Recipe of leatherens",
        "type": "object",
        "additionalProperties": False,
        "properties": nullable,
        "$defs": definitions,
    }


def _options_by_id(host: PluginHost, kind: str, definitions: Schema) -> dict[str, Schema]:
    """The schema of the options of everything of a kind, by id; what they refer to goes to `definitions`."""
    found: dict[str, Schema] = {}
    for id, made in host.registry(kind).usable().items():
        schema = made.Params.model_json_schema(ref_template=f"#/$defs/{kind}.{id}.{{model}}")
        for name, definition in schema.pop("$defs", {}).items():
            definitions[f"{kind}.{id}.{name}"] = definition
        found[id] = schema
    return found


def _members(options: Mapping[str, Schema], before: Schema) -> Schema:
    """Ids alone, or each with its options, directly or under `options`."""
    cut = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}
    each = {id: _or_null(_with_options(schema, {"features": cut})) for id, schema in options.items()}
    listed = {"type": "array", "items": {"type": "string", "enum": list(options)}, "minItems": 1}
    mapped = {"type": "object", "properties": each, "additionalProperties": False, "minProperties": 1}
    return {**_described(before), "anyOf": [listed, mapped]}


def _choice(options: Mapping[str, Schema], before: Schema, *, named: bool) -> Schema:
    """One id, or one with its options; named: the id may not be left out."""
    alone = {"type": "string", "enum": list(options)}
    each = [_with_options(schema, {"id": {"const": id}}, ("id",)) for id, schema in options.items()]
    unnamed = [] if named else [{"type": "object", "not": {"required": ["id"]}}]
    return {**_described(before), "anyOf": [alone, *each, *unnamed]}


def _with_options(schema: Schema, own: Schema, required: tuple[str, ...] = ()) -> Schema:
    """An object with keys of its own whose options stand beside them or under `options`."""
    properties = schema.get("properties", {})
    return {
        **_described(schema),
        "type": "object",
        "additionalProperties": False,
        "properties": {**properties, "options": {**schema, "required": []}, **own},
        "required": list(required),
    }


def _or_null(schema: Schema) -> Schema:
    """`null` takes back what an extended recipe says."""
    return {**_described(schema), "anyOf": [schema, {"type": "null"}]}


def _described(schema: Schema) -> Schema:
    return {"description": schema["description"]} if "description" in schema else {}
